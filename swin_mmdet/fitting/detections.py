"""How many detections of an image a model keeps: as many as images have objects, or what is there is never found."""

import math
from collections.abc import Collection

from mmengine.config import Config

from swin_mmdet.config import nodes
from swin_mmdet.datasets.checks.evaluators import detection_limits
from swin_mmdet.datasets.coco_file import read_coco
from swin_mmdet.datasets.sources import coco_sources
from swin_mmdet.engine.schedules import covered
from swin_mmdet.fitting.setting import Setting

# COCO's images have up to 93 objects, and 100 detections are kept of them
STEP = 50
# what a model with queries can find
QUERIES = 'num_queries', 'num_proposals'


def fit_detections(cfg: Config, explicit: Collection[str]) -> list[Setting]:
    """Raise `max_per_img` of `model.test_cfg`, in place, where an image of any split has more objects.

    Recipes that keep enough stay as they are, and nothing is said of them.
    """
    files = {source.ann_file for source in coco_sources(cfg, quiet=True)}
    most = max((read_coco(file).objects.max(initial=0) for file in files), default=0)
    found = (node.get(name) for node in nodes(cfg.model) for name in QUERIES)
    queries = min((number for number in found if isinstance(number, int)), default=None)
    settings = []
    for node, name, key in detection_limits(cfg):
        old = node[name]
        if most <= old or covered(key, explicit):
            continue
        wanted, reason = math.ceil(most / STEP) * STEP, f'images have up to {most} objects'
        if queries is not None and queries < wanted:
            wanted = max(queries, old)
            reason += f', and the {queries} queries of the model find no more'
        node[name] = wanted
        settings.append(Setting('detections of an image', str(old), str(wanted), reason, f'--cfg-options {key}=...'))
    return settings

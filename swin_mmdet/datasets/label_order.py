"""Where classes of a config have another order than categories of a file, labels are numbered by name."""

from collections.abc import Sequence

from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmdet.evaluation import CocoMetric as MMDetCocoMetric

from swin_mmdet.config.nodes import keyed_nodes
from swin_mmdet.datasets.coco_file import CocoFileError, read_coco
from swin_mmdet.datasets.sources import SPLITS, CocoSource, coco_sources

OURS = {
    MMDetCocoDataset: 'swin_mmdet.CocoDataset', MMDetCocoMetric: 'swin_mmdet.CocoMetric',
}  # fmt: skip


def label_by_name(cfg, splits: Sequence[str] = SPLITS) -> list[str]:
    """Let our CocoDataset and CocoMetric take the place of mmdet's in splits whose order of classes needs it.

    Returns:
        a sentence for the user, if there was any.
    """
    changed = []
    sources = [source for source in coco_sources(cfg, quiet=True) if source.split in splits]
    for split in sorted({source.split for source in sources if _differs(source)}):
        for part in (f'{split}_dataloader', f'{split}_evaluator'):
            for key, node in keyed_nodes(cfg.get(part), part):
                for theirs, ours in OURS.items():
                    if node.get('type') in (theirs, theirs.__name__, f'mmdet.{theirs.__name__}'):
                        node['type'] = ours
                        changed.append(key)
    if not changed:
        return []
    return [f'annotation files have the classes in another order: labels are numbered by name ({", ".join(changed)})']


def _differs(source: CocoSource) -> bool:
    """Whether the file has the configured classes in another order."""
    if source.by_name or isinstance(source.classes, str):
        return False
    try:
        coco = read_coco(source.ann_file)
    except CocoFileError:
        return False  # the check has more to say of it
    in_file = [name for name in coco.classes_for(source.classes) if name in source.classes]
    return in_file != list(source.classes) and sorted(in_file) == sorted(source.classes)

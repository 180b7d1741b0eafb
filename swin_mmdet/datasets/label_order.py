"""Where classes of a config have another order than categories of a file, labels are numbered by name."""

from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmdet.evaluation import CocoMetric as MMDetCocoMetric

from swin_mmdet.config.nodes import keyed_nodes
from swin_mmdet.datasets.coco_file import CocoFileError, read_coco
from swin_mmdet.datasets.sources import SPLITS, CocoSource, coco_sources

OURS = {
    MMDetCocoDataset: 'swin_mmdet.CocoDataset', MMDetCocoMetric: 'swin_mmdet.CocoMetric',
}  # fmt: skip


def label_by_name(cfg) -> list[str]:
    """Put our CocoDataset and CocoMetric into the place of mmdet's, in place, if a config's order of classes needs it.

    Returns:
        the keys of what was changed: all or nothing, for splits have to number labels alike.
    """
    if not any(_differs(source) for source in coco_sources(cfg, quiet=True)):
        return []
    changed = []
    for split in SPLITS:
        for part in (f'{split}_dataloader', f'{split}_evaluator'):
            for key, node in keyed_nodes(cfg.get(part), part):
                for theirs, ours in OURS.items():
                    if node.get('type') in (theirs, theirs.__name__, f'mmdet.{theirs.__name__}'):
                        node['type'] = ours
                        changed.append(key)
    return changed


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

"""A folder with a COCO-format data set put into a config."""

from pathlib import Path

from launch import UserError, nodes
from mmengine.config import Config

from swin_mmdet.datasets.discover import discover
from swin_mmdet.datasets.heads import head_classes


def use_folder(cfg: Config, folder: str) -> None:
    """Train and evaluate on this folder: paths, class names and the number of classes of every head.

    Raises:
        UserError: no COCO-format data set is recognised in the folder.
    """
    try:
        found = discover(folder)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f'--data {folder}: {error}') from error
    classes = tuple(found.classes)
    sources = {
        'train': (found.train_ann, found.train_images),
        'val': (found.val_ann, found.val_images),
        'test': (found.val_ann, found.val_images),
    }
    for split, (annotations, images) in sources.items():
        for node in nodes(cfg.get(f'{split}_dataloader')):
            if 'ann_file' in node:
                node.data_root = ''
                node.ann_file = absolute(annotations)
                node.data_prefix = dict(img=absolute(images) + '/')
                node.metainfo = dict(classes=classes)
                # positions of images in another data set
                node.pop('indices', None)
        for node in nodes(cfg.get(f'{split}_evaluator')):
            if 'ann_file' in node:
                node.ann_file = absolute(annotations)
    cfg.merge_from_dict({head.key: len(classes) for head in head_classes(cfg.model)})


def absolute(path: str | Path) -> str:
    return str(Path(path).resolve())

"""Other data put into a config: a folder of any layout, or the same files in another place."""

from pathlib import Path

from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.logging import print_log

from swin_mmdet.config import nodes, type_name
from swin_mmdet.datasets.discover import CocoFolder
from swin_mmdet.datasets.heads import class_weights, head_classes
from swin_mmdet.datasets.image_needs import image_needs
from swin_mmdet.datasets.layouts import Split, find_data
from swin_mmdet.errors import UserError


def use_folder(cfg: Config, folder: str, cache: str | Path = 'work_dirs/data', split: Split | None = None) -> None:
    """Train and evaluate on this folder: paths, class names and the number of classes of every head.

    Args:
        cache: where COCO files are written for a folder that has none
        split: the images for validation to choose where none are

    Raises:
        UserError: no data set is recognised in the folder, or it cannot be read.
    """
    try:
        found = find_data(folder, cache, split)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f'--data {folder}: {error}') from error
    _fit_image_loading(cfg, found)
    classes = tuple(found.classes)
    sources = {
        'train': (found.train_ann, found.train_images),
        'val': (found.val_ann, found.val_images),
        'test': (found.val_ann, found.val_images),
    }
    for name, (annotations, images) in sources.items():
        for node in nodes(cfg.get(f'{name}_dataloader')):
            if 'ann_file' in node:
                node['data_root'] = ''
                node['ann_file'] = _absolute(annotations)
                node['data_prefix'] = dict(img=_absolute(images) + '/')
                node['metainfo'] = dict(classes=classes)
                # positions of images in another data set
                node.pop('indices', None)
        for node in nodes(cfg.get(f'{name}_evaluator')):
            if 'ann_file' in node:
                node['ann_file'] = _absolute(annotations)
    cfg.merge_from_dict({head.key: len(classes) for head in head_classes(cfg.model)})
    for weights in class_weights(cfg.model):
        if fitted := weights.fitted(len(classes)):
            cfg.merge_from_dict({weights.key: fitted})


def _fit_image_loading(cfg: Config, found: CocoFolder) -> None:
    """Let pipelines read images of more than 8 bits, or with transparent pixels, as a person sees them."""
    needs = image_needs([found.train_images, found.val_images], [found.train_ann, found.val_ann])
    if not needs:
        return
    changed = False
    for split in ('train', 'val', 'test'):
        for node in nodes(cfg.get(f'{split}_dataloader')):
            usual = node.get('type') in ('LoadImageFromFile', 'mmdet.LoadImageFromFile', LoadImageFromFile)
            if usual and node.get('color_type', 'color') == 'color' and node.get('imdecode_backend', 'cv2') == 'cv2':
                node.update(needs, type='swin_mmdet.LoadImageFromFile')
                changed = True
    if changed:
        said = ', '.join(f'{key}={value}' for key, value in needs.items())
        print_log(f'data: images are read by swin_mmdet.LoadImageFromFile({said})', logger='current')


def check_instances(cfg: Config, folder: str) -> None:
    """The config must train on instances.

    Raises:
        UserError: it trains on something else than the instances that such a folder has.
    """
    for node in nodes(cfg.get('train_dataloader')):
        if type_name(node).endswith('CocoPanopticDataset'):
            raise UserError(
                f'--data {folder}: it has instances, and this config trains on panoptic annotations '
                f'({type_name(node)}); take the config of the same detector for instances'
            )


def move_data(cfg: Config, new_root: str) -> None:
    """Let every path of the config that starts with its `data_root` start with another folder instead.

    Raises:
        UserError: it has no `data_root`.
    """
    old_root = cfg.get('data_root')
    if not old_root:
        raise UserError('data_root=... moves the data of configs that have a data_root, this one has none')
    old, new = old_root.rstrip('/') + '/', new_root.rstrip('/') + '/'
    for name in [name for name in cfg if name.endswith(('_dataloader', '_evaluator'))]:
        for node in nodes(cfg[name]):
            for key in ('data_root', 'ann_file'):
                value = node.get(key)
                if isinstance(value, str) and (value + '/').startswith(old):
                    node[key] = new + value[len(old) :]
    cfg.data_root = new


def _absolute(path: str | Path) -> str:
    return str(Path(path).resolve())

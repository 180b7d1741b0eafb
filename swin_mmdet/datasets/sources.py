"""The COCO data sets that a config names, found through wrappers and joined as mmdet joins paths."""

import os.path as osp
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.fileio import list_from_file
from mmengine.logging import print_log
from mmengine.utils import is_abs

from swin_mmdet.config import nodes
from swin_mmdet.datasets.coco_dataset import CocoDataset as OurCocoDataset
from swin_mmdet.datasets.coco_dataset import NamedCOCO

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class CocoSource:
    """One data set of a config.

    key: where its dict is, such as 'train_dataloader.dataset.dataset'.
    image_folder: None if the config has no data_prefix['img'].
    classes: `metainfo['classes']`, or those of the dataset type; a str where the config gives one.
    is_default: the classes are those of the dataset type.
    by_name: labels are positions in `classes`, else in the categories of the file.
    pipeline: its steps, as the config has them.
    filter_cfg: which images a training leaves out.
    with_mask: the pipeline loads masks.
    polygons_only: it leaves masks as polygons (poly2mask=False), and out what are none.
    with_map: the pipeline loads semantic maps, from `map_folder` (None without data_prefix['seg']), of the images'
        names with `map_suffix`.
    """

    split: str
    key: str
    type_name: str
    ann_file: str
    image_folder: Path | None
    classes: tuple[str, ...] | str
    is_default: bool
    by_name: bool
    pipeline: tuple[dict, ...]
    filter_cfg: dict
    with_mask: bool
    polygons_only: bool
    with_map: bool
    map_folder: Path | None
    map_suffix: str


def coco_sources(cfg, *, quiet: bool = False) -> list[CocoSource]:
    """Every data set of the train, val and test dataloaders that reads files as mmdet's CocoDataset does.

    Others (another format, or files on a server) are named in the log, unless `quiet`.
    """
    sources = []
    for split in SPLITS:
        loader = cfg.get(f'{split}_dataloader') or {}
        for key, dataset in _unwrapped(f'{split}_dataloader.dataset', loader.get('dataset')):
            source = _source(split, key, dataset)
            if isinstance(source, CocoSource):
                sources.append(source)
            elif not quiet:
                print_log(f'{key} is not checked: {source}', logger='current')
    return sources


def _unwrapped(key: str, dataset) -> Iterator[tuple[str, dict]]:
    """The data sets inside RepeatDataset, ConcatDataset and any other wrapper with 'dataset' or 'datasets'."""
    if not dataset:
        return
    if 'datasets' in dataset:
        for index, inner in enumerate(dataset['datasets']):
            yield from _unwrapped(f'{key}.datasets.{index}', inner)
    elif 'dataset' in dataset:
        yield from _unwrapped(f'{key}.dataset', dataset['dataset'])
    else:
        yield key, dataset


def _source(split: str, key: str, dataset: dict) -> CocoSource | str:
    """The source, or the reason why it is none."""
    kind = dataset.get('type')
    cls: Any = kind if isinstance(kind, type) else DATASETS.get(str(kind))
    if not _reads_as_coco(cls):
        return f'{kind} is not CocoDataset or a child of it that reads files as it does'
    ann_file = _joined(dataset, dataset.get('ann_file', ''))
    if '://' in ann_file or (dataset.get('backend_args') or {}).get('backend', 'local') != 'local':
        return f'{ann_file} is not on this file system'
    prefixes = dataset.get('data_prefix') or {}
    images, maps = (Path(_joined(dataset, prefixes[name])) if prefixes.get(name) is not None else None
                    for name in ('img', 'seg'))
    pipeline = dataset.get('pipeline') or ()
    metainfo = dataset.get('metainfo') or {}
    classes = metainfo.get('classes', cls.METAINFO.get('classes', ()))
    if isinstance(classes, str) and osp.isfile(classes):
        classes = list_from_file(classes)  # mmengine takes the name of a text file with a class per line
    return CocoSource(
        split=split,
        key=key,
        type_name=cls.__name__,
        ann_file=ann_file,
        image_folder=images,
        classes=classes if isinstance(classes, str) else tuple(classes),
        is_default='classes' not in metainfo,
        by_name=issubclass(cls.COCOAPI, NamedCOCO),
        pipeline=tuple(pipeline),
        filter_cfg=dict(dataset.get('filter_cfg') or {}),
        with_mask=_loads(pipeline, 'with_mask'),
        polygons_only=_sets(pipeline, 'poly2mask', False),
        with_map=_loads(pipeline, 'with_seg'),
        map_folder=maps,
        map_suffix=dataset.get('seg_map_suffix', '.png'),
    )


def _reads_as_coco(cls: type | None) -> bool:
    """LVIS, panoptic and other children of CocoDataset override these because their files differ."""
    if not (isinstance(cls, type) and issubclass(cls, CocoDataset)):
        return False
    known = OurCocoDataset if issubclass(cls, OurCocoDataset) else CocoDataset
    return all(getattr(cls, name) is getattr(known, name) for name in ('load_data_list', 'parse_data_info'))


def _joined(dataset: dict, path: str) -> str:
    return path if is_abs(path) else osp.join(dataset.get('data_root') or '', path)


def _loads(pipeline: Sequence, option: str) -> bool:
    """Whether any transform has this option, such as with_mask=True."""
    return _sets(pipeline, option, True)


def _sets(pipeline: Sequence, option: str, wanted: bool) -> bool:
    """Whether any transform, also inside RandomChoice or MultiBranch, sets this option to something true, or false."""
    return any(option in step and bool(step[option]) == wanted for step in nodes(pipeline))

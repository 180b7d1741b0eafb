"""The three ways in, each in this process: what is said of a data set, and what a model then sees of it."""

import copy
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from .case import ACCEPTED, REFUSED, WARNED, Case
from .data import Data, Seen, truth

CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
DOORS = 'check', 'train CONFIG', 'train --data'
WORTH_A_LOOK = 'Worth a look:\n'


@dataclass(frozen=True)
class Answer:
    """What a door does with a data set: an outcome of `case`, its words, and what a model sees of the training."""

    outcome: str
    text: str
    seen: Seen | None = None


class Lines(logging.Handler):
    """The warnings of a check."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@contextmanager
def warnings_of_a_check() -> Iterator[Lines]:
    logger, lines = MMLogger.get_current_instance(), Lines()
    logger.addHandler(lines)
    try:
        yield lines
    finally:
        logger.removeHandler(lines)


def answer(door: str, data: Data) -> Answer:
    """Of one door; an exception that is no sentence for a user goes on."""
    from swin_mmdet.datasets.coco_file import CocoFileError
    from swin_mmdet.errors import UserError

    try:
        with DefaultScope.overwrite_default_scope('mmdet'):
            return _folder(data) if door == 'check' else _training(door, data)
    except (UserError, CocoFileError, FileNotFoundError) as error:
        return Answer(REFUSED, str(error))


def _folder(data: Data) -> Answer:
    from swin_mmdet.datasets import check_folder
    from swin_mmdet.datasets.layouts import find_data
    from swin_mmdet.datasets.problems import ERROR, listing

    try:
        found = find_data(data.folder, data.folder.parent / 'converted')
    except (FileNotFoundError, ValueError) as error:  # as the program does
        return Answer(REFUSED, str(error))
    problems, _ = check_folder(found)
    worst = REFUSED if any(one.level == ERROR for one in problems) else WARNED if problems else ACCEPTED
    return Answer(worst, listing(problems))


def _training(door: str, data: Data) -> Answer:
    from swin_mmdet.datasets import check_config, label_by_name

    cfg = own_config(data) if door == 'train CONFIG' else _other_data(data)
    label_by_name(cfg)
    with warnings_of_a_check() as lines:
        check_config(cfg)
    said = [text for text in lines.texts if text.startswith(WORTH_A_LOOK)]
    return Answer(WARNED if said else ACCEPTED, '\n'.join(said), seen(cfg))


def own_config(data: Data) -> Config:
    """A config that was written for the data."""
    masks = data.settings.get('masks', True)
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='swin_mmdet.LoadAnnotations', with_bbox=True, with_mask=masks),
        dict(type='PackDetInputs'),
    ]

    def dataset(split: str, **options: object) -> dict:
        images = data.settings.get(f'{split}_images', f'{split}2017')
        return dict(
            type='CocoDataset', ann_file=str(data.ann_file(split)), data_prefix=dict(img=f'{data.folder / images}/'),
            metainfo=dict(classes=data.classes), pipeline=copy.deepcopy(pipeline), **options,
        )  # fmt: skip

    evaluator = dict(
        type='CocoMetric', metric=['bbox', 'segm'] if masks else 'bbox', ann_file=str(data.ann_file('val'))
    )
    head = dict(num_classes=len(data.classes))
    roi_head = dict(bbox_head=dict(head)) | (dict(mask_head=dict(head)) if masks else {})
    return Config(
        dict(
            model=dict(type='MaskRCNN', roi_head=roi_head, test_cfg=dict(rcnn=dict(max_per_img=100))),
            train_dataloader=dict(dataset=dataset('train')),
            val_dataloader=dict(dataset=dataset('val', test_mode=True)),
            val_evaluator=evaluator,
        )
    )


def _other_data(data: Data) -> Config:
    """A config of this project, with --data FOLDER."""
    from swin_mmdet.datasets.data_folder import use_folder

    kind = 'mask' if data.settings.get('masks', True) else 'faster'
    cfg = copy.deepcopy(_project_config(f'swin/{kind}-rcnn_swin-t-p4-w7_fpn_1x_coco.py'))
    use_folder(cfg, str(data.folder))
    return cfg


@lru_cache
def _project_config(name: str) -> Config:
    return Config.fromfile(str(CONFIGS / name))


def seen(cfg: Config) -> Seen:
    """Classes, corners and pixels of masks as the training data set of a config gives them, before augmentation."""
    from mmdet.registry import DATASETS

    config = copy.deepcopy(cfg.train_dataloader.dataset)
    with_mask = any(step.get('with_mask') for step in config.pipeline)
    config.pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='swin_mmdet.LoadAnnotations', with_bbox=True, with_mask=with_mask),
        dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape')),
    ]
    config.filter_cfg = None
    config.serialize_data = False
    dataset = DATASETS.build(config)
    folder = str(config.data_prefix.img)
    found: Seen = {}
    for sample in dataset:
        sample = sample['data_samples']
        objects = sample.gt_instances
        names = [dataset.metainfo['classes'][label] for label in objects.labels.tolist()]
        boxes = [tuple(box) for box in objects.bboxes.tensor.double().tolist()]
        bitmaps = objects.masks.to_ndarray() if with_mask else np.zeros((len(names), 1, 1))
        pixels = [int(bitmap.sum()) for bitmap in bitmaps]
        found[sample.img_path.removeprefix(folder).lstrip('/')] = sorted(zip(names, boxes, pixels))
    return found


def verdict(case: Case, door: str, found: Answer) -> str:
    """'' if a door does what is right, else what it does instead."""
    right = {'check': case.folder, 'train --data': case.data_option}.get(door) or case.right
    if found.outcome != right:
        return f'{found.outcome}, not {right}: {found.text}'
    if case.says and right != ACCEPTED and not re.search(case.says, found.text, re.DOTALL):
        return f'{found.outcome}, but {case.says!r} is not in: {found.text}'
    if found.seen is not None and case.sees is not None:
        expected = case.sees(truth())
        if found.seen.keys() != expected.keys():
            return f'sees the images {sorted(found.seen)}, not {sorted(expected)}'
        for name, objects in expected.items():
            if not _same(found.seen[name], sorted(objects)):
                return f'sees {found.seen[name]} in {name}, not {objects}'
    return ''


def _same(objects: list, expected: list) -> bool:
    return len(objects) == len(expected) and all(
        name == other and np.allclose(box, corners, atol=0.05) and pixels == area
        for (name, box, pixels), (other, corners, area) in zip(objects, expected, strict=True)
    )

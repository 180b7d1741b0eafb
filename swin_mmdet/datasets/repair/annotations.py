"""Annotations put right: ids, boxes, masks, areas and flags."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from swin_mmdet.datasets.box_format import as_coco, corners_of, overlaps
from swin_mmdet.datasets.coco_file import CocoFile, shown_id
from swin_mmdet.datasets.faults import is_box, is_flag, is_number, spelt
from swin_mmdet.datasets.mask_boxes import judged_mask
from swin_mmdet.datasets.repair.change import Changes
from swin_mmdet.datasets.repair.masks import exchanged, mask_area, mended_mask

FLAGS = {'0': 0, '1': 1, 'false': 0, 'true': 1, 'no': 0, 'yes': 1, '': 0, 'none': 0, 'null': 0}
# the overlap of a mask with its box from which they are of one object
ONE_OBJECT = 0.6


@dataclass(frozen=True)
class Around:
    """What a file says of its annotations.

    coco: as it was before any repair.
    sizes: width and height of images by id.
    ids: 'image_id' and 'category_id' -> the ids that there are, by their spelling.
    masks: whether its objects have masks at all.
    """

    coco: CocoFile
    sizes: dict[Hashable, tuple[float, float]]
    ids: dict[str, dict[str, Hashable]]
    masks: bool


def repair_annotations(annotations: list[dict], around: Around, note: Changes) -> list[dict]:
    """Those that are left, in place."""
    kept = []
    for index, ann in enumerate(annotations):
        name = f'annotation {shown_id(ann, index)}'
        if reason := _place(ann, around, name, note):
            note('annotation_dropped', name, f'left out: {reason}')
            continue
        _flags(ann, name, note)
        kept.append(ann)
    _crowds(kept, around, note)
    _box_formats(kept, around, note)
    kept = [ann for index, ann in enumerate(kept) if _object(ann, index, around, note)]
    _number(kept, note)
    return kept


def _place(ann: dict, around: Around, name: str, note: Changes) -> str:
    """Its image and category, by their spelling; why there is none."""
    for key, known in around.ids.items():
        id = ann.get(key)
        meant = known.get(spelt(id)) if isinstance(id, (str, int, float)) else None
        if meant is None:
            return f'its {key} {id!r} is not there'
        if type(meant) is not type(id):
            note(f'{key}_type', name, f'{key} {id!r} written as {meant!r}')
            ann[key] = meant
    return ''


def _flags(ann: dict, name: str, note: Changes) -> None:
    for key in ('iscrowd', 'ignore'):
        value = ann.get(key)
        if not is_flag(value) and isinstance(value, str) and value.strip().lower() in FLAGS:
            ann[key] = FLAGS[value.strip().lower()]
            note(f'{key}_value', name, f'{key} {value!r} written as {ann[key]}')
    if ann.get('iscrowd') is None:
        ann['iscrowd'] = 0


def _box_formats(annotations: list[dict], around: Around, note: Changes) -> None:
    found = around.coco.box_format
    if found is None:
        return
    for index, ann in enumerate(annotations):
        size = around.sizes.get(ann['image_id'])
        if size and is_box(ann.get('bbox')):
            box = as_coco(np.array([ann['bbox']], float), np.array([size], float), found)[0]
            note('box_format', f'annotation {shown_id(ann, index)}', f'bbox {ann["bbox"]} was {found.words}')
            ann['bbox'] = [round(value, 4) for value in box.tolist()]


def _object(ann: dict, index: int, around: Around, note: Changes) -> bool:
    """Whether box, mask and area can be made to fit."""
    name, size = f'annotation {shown_id(ann, index)}', around.sizes.get(ann['image_id'])
    if size is None:
        return True  # what is wrong with the image is said of it
    corners = _mask(ann, size, around, name, note)
    if not is_box(ann.get('bbox')):
        if corners is None:
            note('box', name, 'left out: it has neither a box nor a mask')
            return False
        ann['bbox'] = _box_of(corners)
        note('box', name, 'bbox taken from its mask')
    if not _clip(ann, size, name, note):
        return False
    _area(ann, size, name, note)
    return True


def _mask(ann: dict, size: tuple[float, float], around: Around, name: str, note: Changes) -> tuple | None:
    """The corners of its mask, which is mended or becomes the region of its box, from which nothing is learnt."""
    width, height = size
    kind, corners = judged_mask(ann.get('segmentation'), height, width)
    if kind and (mended := mended_mask(ann.get('segmentation'), height, width)):
        ann['segmentation'], what = mended
        note(kind, name, f'mask {what}')
        kind, corners = judged_mask(ann['segmentation'], height, width)
    if kind and around.masks and is_box(ann.get('bbox')) and not ann.get('iscrowd'):
        x, y, w, h = ann['bbox']
        ann |= {'segmentation': [[x, y, x + w, y, x + w, y + h, x, y + h]], 'iscrowd': 1}
        note(kind, name, 'its mask cannot be read: a region now (iscrowd=1), from which nothing is learnt')
        return None
    if corners is None or not is_box(ann.get('bbox')):
        return corners
    other = exchanged(ann['segmentation'])
    if other and _overlap(ann['bbox'], corners) < ONE_OBJECT:
        _, turned = judged_mask(other, height, width)
        if turned is not None and _overlap(ann['bbox'], turned) >= ONE_OBJECT:
            ann['segmentation'] = other
            note('mask_elsewhere', name, 'x and y of its mask exchanged')
            return turned
    return corners


def _overlap(box: list, corners: tuple) -> float:
    return float(overlaps(corners_of(np.array([box], float)), np.array([corners], float))[0])


def _box_of(corners: tuple) -> list[float]:
    x1, y1, x2, y2 = corners
    return [x1, y1, x2 - x1, y2 - y1]


def _clip(ann: dict, size: tuple[float, float], name: str, note: Changes) -> bool:
    x, y, w, h = ann['bbox']
    x1, y1 = max(x, 0), max(y, 0)
    x2, y2 = min(x + w, size[0]), min(y + h, size[1])
    if x2 - x1 < 1 or y2 - y1 < 1:
        note('box_outside', name, f'left out: its box {ann["bbox"]} has no pixel of the image')
        return False
    if (x1, y1, x2, y2) != (x, y, x + w, y + h) and max(abs(x1 - x), abs(y1 - y), x + w - x2, y + h - y2) > 1e-6:
        note('box_beyond', name, f'box {ann["bbox"]} cut at the border of the image')
        ann['bbox'] = [x1, y1, x2 - x1, y2 - y1]
    return True


def _area(ann: dict, size: tuple[float, float], name: str, note: Changes) -> None:
    area, (_, _, w, h) = ann.get('area'), ann['bbox']
    if area is not None and is_number(area) and 1 < area <= 1.1 * w * h + 16:
        return
    width, height = size
    whole = not judged_mask(ann.get('segmentation'), height, width)[0] and not ann['iscrowd']
    ann['area'] = mask_area(ann['segmentation'], height, width) if whole else w * h
    if ann['area'] != area:
        note('area_value', name, f'area {area!r} written as {ann["area"]:g}, of its {"mask" if whole else "box"}')


def _crowds(annotations: list[dict], around: Around, note: Changes) -> None:
    if annotations and around.coco.num_crowds == around.coco.num_annotations:
        for ann in annotations:
            ann['iscrowd'] = 0
        note('many_crowds', 'all annotations', 'iscrowd=0: they are single objects')


def _number(annotations: list[dict], note: Changes) -> None:
    ids = [ann.get('id') for ann in annotations]
    if any(not isinstance(id, int) or isinstance(id, bool) or id < 1 for id in ids) or len(set(ids)) < len(ids):
        for number, ann in enumerate(annotations, 1):
            ann['id'] = number
        note('annotation_id', 'all annotations', 'numbered anew: 1, 2, 3, ...')

"""Annotations of a file as columns of numbers, and which of them surely have no fault: judged all at once.

Nearly all annotations are as they should be, and there are many: what `faults` and `mask_boxes` say of one at a time is
said here of those that need no second look. Of any other, these two have the last word.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from swin_mmdet.datasets.faults import LARGEST
from swin_mmdet.datasets.mask_boxes import THIN
from swin_mmdet.structures.segmentation import SHORT

# annotations whose polygons are looked at together: their coordinates take memory once more
PIECE = 20_000
NUMBERS = {int, float}


@dataclass(frozen=True)
class Columns:
    """Of n annotations, what stands in them where it can be used.

    usual: bool [n], without a fault that `faults.annotation_faults` knows; of all others, no column can be trusted.
    images: [n], numbers of their images in the file.
    boxes: [n, 4]; areas, crowds: [n].
    """

    usual: np.ndarray
    images: np.ndarray
    boxes: np.ndarray
    areas: np.ndarray
    crowds: np.ndarray


def columns(annotations: Sequence[dict], sizes: dict, categories: dict) -> Columns:
    """Of all annotations.

    sizes: (width, height) or None of each image by its id
    categories: by their ids
    """
    n = len(annotations)
    ids, usual = _numbers([ann.get('id') for ann in annotations])
    usual &= ids != 0
    _, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    usual &= counts[inverse] == 1
    images = _places([ann.get('image_id') for ann in annotations], sizes)
    usual &= (images >= 0) & (_places([ann.get('category_id') for ann in annotations], categories) >= 0)
    areas, are_numbers = _numbers([ann.get('area') for ann in annotations])
    usual &= are_numbers & (areas > 0)
    crowds, are_flags = _numbers([ann.get('iscrowd') for ann in annotations])
    usual &= are_flags & ((crowds == 0) | (crowds == 1))
    usual &= np.fromiter((not ann.get('ignore') for ann in annotations), bool, n)
    boxes, are_boxes = _boxes([ann.get('bbox') for ann in annotations])
    known = np.array([size or (np.nan, np.nan) for size in sizes.values()], float).reshape(-1, 2)
    usual &= are_boxes & _well_placed(boxes, known[images] if len(known) else np.full((n, 2), np.nan))
    return Columns(usual, images, boxes, areas, crowds)


def polygon_corners(masks: Sequence[object], heights: Sequence[float], widths: Sequence[float]) -> np.ndarray:
    """x1, y1, x2, y2 [n, 4] of masks in polygons without a fault, NaN for all others."""
    pieces = [
        _corners_of_piece(masks[start : start + PIECE], heights[start : start + PIECE], widths[start : start + PIECE])
        for start in range(0, len(masks), PIECE)
    ]
    return np.concatenate([np.empty((0, 4)), *pieces])


def _numbers(values: list) -> tuple[np.ndarray, np.ndarray]:
    """Float [n] and whether each is a number and no truth value; 0 for others."""
    if set(map(type, values)) <= NUMBERS:
        good = np.ones(len(values), bool)
    else:
        good = np.fromiter((type(value) in NUMBERS for value in values), bool, len(values))
        values = [value if is_number else 0 for value, is_number in zip(values, good.tolist(), strict=True)]
    try:
        numbers = np.array(values, float)
    except OverflowError:  # an integer that no float holds
        return np.zeros(len(values)), np.zeros(len(values), bool)
    good &= np.abs(numbers) < LARGEST  # false for NaN
    return np.where(good, numbers, 0), good


def _places(ids: list, places: dict) -> np.ndarray:
    """The number of each id in a file, -1 where it is not there or no usual id."""
    if not set(map(type, ids)) <= {int, str}:
        ids = [id if type(id) in (int, str) else None for id in ids]
    numbers = {id: number for number, id in enumerate(places)}
    return np.fromiter((numbers.get(id, -1) for id in ids), int, len(ids))


def _boxes(values: list) -> tuple[np.ndarray, np.ndarray]:
    """Float [n, 4] and whether each is a list of four numbers; 0 for others."""
    good = np.fromiter((type(box) is list and len(box) == 4 for box in values), bool, len(values))
    filled = values if good.all() else [box if is_box else [0] * 4 for box, is_box in zip(values, good.tolist())]
    numbers, are_numbers = _numbers(list(chain.from_iterable(filled)))
    return numbers.reshape(-1, 4), good & are_numbers.reshape(-1, 4).all(axis=1)


def _well_placed(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Whether `faults` has nothing to say of boxes in images of known size."""
    start, sides = boxes[:, :2], boxes[:, 2:]
    end = start + sides
    inside = (np.minimum(end, sizes) > np.maximum(start, 0)) & (end <= sizes + 2) & (start >= -2)
    return ((sides >= 1) & inside).all(axis=1)


def _corners_of_piece(masks: Sequence, heights: Sequence[float], widths: Sequence[float]) -> np.ndarray:
    corners = np.full((len(masks), 4), np.nan)
    chosen = [
        index
        for index, (mask, height) in enumerate(zip(masks, heights, strict=True))
        # as many lists as rows may be a bitmap
        if type(mask) is list and mask and len(mask) != height and _are_polygons(mask)
    ]
    polygons = [polygon for index in chosen for polygon in masks[index]]
    values = list(chain.from_iterable(polygons))
    if not chosen or not set(map(type, values)) <= NUMBERS:
        # among many, one is to be looked for: let `mask_boxes` do that
        return corners
    lengths = np.fromiter(map(len, polygons), int, len(polygons))
    number = np.fromiter((len(masks[index]) for index in chosen), int, len(chosen))
    try:
        points = np.array(values, float).reshape(-1, 2)
    except OverflowError:
        return corners
    first = np.cumsum(lengths // 2) - lengths // 2  # points of each polygon
    begin = np.cumsum(number) - number  # polygons of each mask
    low = np.minimum.reduceat(np.minimum.reduceat(points, first), begin)
    high = np.maximum.reduceat(np.maximum.reduceat(points, first), begin)
    with np.errstate(invalid='ignore', over='ignore'):
        short = np.add.reduceat(np.abs(points).sum(axis=1), first) < SHORT
        area = np.add.reduceat(np.abs(_twice_the_areas(points, first, lengths // 2)), begin) / 2
    width, height = (np.array(sides, float)[chosen] for sides in (widths, heights))
    seen = (low[:, 0] < width) & (low[:, 1] < height) & (high > 0).all(axis=1)
    good = np.logical_and.reduceat(short, begin) & (area >= THIN) & seen
    corners[np.array(chosen)[good]] = np.concatenate([low, high], axis=1)[good]
    return corners


def _are_polygons(mask: list) -> bool:
    return all(type(polygon) is list and len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in mask)


def _twice_the_areas(points: np.ndarray, first: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Gauss's formula for polygons that stand one after the other, each `number` points from `first` on."""
    after = np.roll(points, -1, axis=0)
    after[first + number - 1] = points[first]
    return np.add.reduceat(points[:, 0] * after[:, 1] - points[:, 1] * after[:, 0], first)

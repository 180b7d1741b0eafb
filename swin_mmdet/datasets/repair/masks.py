"""Masks that say what they mean in another way than COCO's, written in COCO's."""

import ast
from collections.abc import Callable
from typing import Any

import numpy as np
import pycocotools.mask as rle_codec

from swin_mmdet.datasets.mask_boxes import judged_mask
from swin_mmdet.structures.segmentation import readable_mask


def mended_mask(mask: object, height: float, width: float) -> tuple[object, str] | None:
    """The mask and how it was mended, None where that takes a guess."""
    for mend, what in MENDS:
        try:
            mended = mend(mask, height, width)
        except (TypeError, ValueError, IndexError, KeyError, SyntaxError, OverflowError, AttributeError):
            continue
        if mended is not None and not judged_mask(mended, height, width)[0]:
            return mended, what
    return None


def mask_area(mask: Any, height: float, width: float) -> float:
    """In pixels, of a mask without a fault."""
    readable, size = readable_mask(mask, height, width), (int(height), int(width))
    assert readable is not None
    if isinstance(readable, list):
        return float(rle_codec.area(rle_codec.merge(rle_codec.frPyObjects(readable, *size))))
    rle = rle_codec.frPyObjects(readable, *size) if isinstance(readable['counts'], list) else readable
    return float(rle_codec.area(rle))


def exchanged(mask: object) -> list | None:
    """Polygons with y before x."""
    if not isinstance(mask, list):
        return None
    return [[value for y, x in zip(polygon[::2], polygon[1::2]) for value in (x, y)] for polygon in mask]


def scaled(mask: Any, x: float, y: float) -> list | dict:
    """Polygons of an image that was made larger or smaller; an RLE, scaled to the nearest pixels, by its new size."""
    if isinstance(mask, list):
        return [[value * (y if index % 2 else x) for index, value in enumerate(polygon)] for polygon in mask]
    height, width = mask['size']
    rle = rle_codec.frPyObjects(mask, height, width) if isinstance(mask['counts'], list) else mask
    bitmap = rle_codec.decode(rle)
    rows = (np.arange(round(height * y)) / y).astype(int).clip(0, height - 1)
    columns = (np.arange(round(width * x)) / x).astype(int).clip(0, width - 1)
    return encoded(bitmap[rows[:, None], columns])


def encoded(bitmap: np.ndarray) -> dict:
    """The RLE of a table of 0 and 1, as JSON takes it."""
    rle = rle_codec.encode(np.asfortranarray(bitmap, np.uint8))
    return {'size': [int(side) for side in rle['size']], 'counts': rle['counts'].decode()}


def _nested(mask: list, height: float, width: float) -> list | None:
    del height, width
    return [mask] if all(isinstance(value, (int, float)) for value in mask) else None


def _flattened(mask: list, height: float, width: float) -> list | None:
    del height, width
    first = mask[0][0]
    if isinstance(first, list) and isinstance(first[0], (int, float)):
        return [[value for point in polygon for value in point] for polygon in mask]
    if isinstance(first, (int, float)) and all(len(point) == 2 for point in mask):
        return [[value for point in mask for value in point]]
    return None


def _as_numbers(mask: list, height: float, width: float) -> list:
    del height, width
    return [[float(value) for value in polygon] for polygon in mask if len(polygon) >= 6 and len(polygon) % 2 == 0]


def _of_fractions(mask: list, height: float, width: float) -> list | dict | None:
    if not all(0 <= value <= 1 for polygon in mask for value in polygon):
        return None
    return scaled(mask, width, height)


def _of_bytes(mask: dict, height: float, width: float) -> dict:
    del height, width
    return mask | {'counts': ast.literal_eval(mask['counts']).decode()}


def _of_table(mask: list, height: float, width: float) -> dict | None:
    table = np.array(mask, np.uint8)
    return encoded(table) if table.shape == (height, width) else None


MENDS: tuple[tuple[Callable, str], ...] = (
    (_of_table, 'written as run lengths'),
    (_nested, 'put into a list of polygons'),
    (_flattened, 'written as x1, y1, x2, y2, ...'),
    (_of_bytes, "counts without b'...'"),
    (_as_numbers, 'numbers without quotation marks; polygons of less than 3 points left out'),
    (_of_fractions, 'written in pixels'),
)

"""What is wrong with a mask and where it lies, found without decoding it where that is possible."""

from operator import mul
from pathlib import PurePath
from typing import Any

import pycocotools.mask as rle_codec

from swin_mmdet.structures.segmentation import MaskError, readable_mask

Corners = tuple[float, float, float, float]
# square pixels: a polygon of less may have no pixel at all, which only drawing it tells
THIN = 2.0
IMAGES = '.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.npy'


def mask_corners(mask: list | dict, height: float, width: float) -> Corners | None:
    """x1, y1, x2, y2 of what `segmentation.readable_mask` gives, None for a mask without a pixel of the image."""
    if isinstance(mask, dict):
        return _of_rle(_as_rle(mask))
    xs, ys, area = [], [], 0.0
    for polygon in mask:
        x, y = polygon[::2], polygon[1::2]
        xs += min(x), max(x)
        ys += min(y), max(y)
        # Gauss's formula
        area += abs(sum(map(mul, x, y[1:] + y[:1])) - sum(map(mul, y, x[1:] + x[:1]))) / 2
    corners = min(xs), min(ys), max(xs), max(ys)
    if corners[0] >= width or corners[1] >= height or corners[2] <= 0 or corners[3] <= 0:
        return None
    if area < THIN:
        rle = rle_codec.merge(rle_codec.frPyObjects(mask, int(height), int(width)))
        return corners if rle_codec.area(rle) else None
    return corners


def _as_rle(mask: dict) -> dict:
    if isinstance(mask['counts'], (str, bytes)):
        return mask
    return rle_codec.frPyObjects(mask, *mask['size'])


def _of_rle(rle: dict) -> Corners | None:
    x, y, width, height = rle_codec.toBbox(rle).tolist()
    return (x, y, x + width, y + height) if width and height else None


def judged_mask(mask: object, height: float, width: float) -> tuple[str, Corners | None]:
    """The key of `checks.annotations.MASKS` for what is wrong with a 'segmentation', '' if nothing, and its corners."""
    if not mask:
        return 'mask_missing', None
    if _is_bitmap(mask, height, width):
        return 'mask_bitmap', None
    try:
        readable = readable_mask(mask, height, width)
    except MaskError as error:
        return _refined(error.kind, mask), None
    if readable is None:
        return 'mask_unreadable', None
    corners = mask_corners(readable, height, width)
    return ('mask_empty', None) if corners is None else ('', corners)


def _is_bitmap(mask: object, height: float, width: float) -> bool:
    """Rows of 0 and 1 instead of polygons."""
    if not isinstance(mask, list) or len(mask) != height:
        return False
    return all(isinstance(row, list) and len(row) == width for row in mask) and set(mask[0]) <= {0, 1}


def _refined(kind: str, mask: Any) -> str:
    if kind == 'mask_type' and isinstance(mask, str) and PurePath(mask).suffix.lower() in IMAGES:
        return 'mask_path'
    if kind == 'mask_counts' and isinstance(mask['counts'], str) and mask['counts'][:2] in ("b'", 'b"'):
        return 'mask_bytes'
    return kind

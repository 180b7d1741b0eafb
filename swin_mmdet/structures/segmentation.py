"""What an annotation may give as its mask: one judge for the check of data, the loader and the evaluator.

mmdet leaves an object out whose polygons are all too short, or whose RLE lacks a key. Other faults reach pycocotools,
which crashes, takes all memory (NaN), or decodes memory that nobody has written (an RLE that is cut off).
"""

from collections.abc import Sequence

import numpy as np

# pixels along the outline of a polygon, and from the corner of the image: pycocotools allocates for each pixel of it
LONGEST = 1e7
# what surely is within it, found by one sum
SHORT = 1e6
EXPLAINED = {
    'mask_missing': "missing, it has no 'segmentation'",
    'mask_unreadable': "neither polygons of at least 3 points nor RLE with 'counts' and 'size'",
    'mask_flat': 'a flat list of coordinates: polygons are lists inside a list',
    'mask_points': 'a list of points: a polygon is [x1, y1, x2, y2, ...]',
    'mask_numbers': f'a polygon with something that is no number, or an outline of more than {LONGEST:.0e} pixels',
    'mask_type': 'neither a list of polygons nor an RLE',
    'mask_size': "an RLE with another 'size' than its image",
    'mask_counts': "an RLE whose 'counts' are no run lengths that fill its image",
}


class MaskError(ValueError):
    """A mask that cannot be loaded; `kind` is a key of `EXPLAINED`."""

    def __init__(self, kind: str, detail: str = '') -> None:
        self.kind = kind
        super().__init__(EXPLAINED[kind] + detail)


def readable_mask(mask: object, height: float, width: float) -> list | dict | None:
    """The polygons, without those that mmdet leaves out, or the RLE, with whole numbers as its 'size'.

    None for an object that mmdet ignores: polygons of less than 3 points or an odd number of coordinates, and nothing
    else, or an RLE without 'size' or 'counts'.

    Raises:
        MaskError: nothing that can be loaded.
    """
    if isinstance(mask, dict):
        if mask.get('size') is None or mask.get('counts') is None:
            return None
        return _readable_rle(mask, height, width)
    if mask is None or (isinstance(mask, (list, tuple)) and not len(mask)):
        raise MaskError('mask_missing')
    if not isinstance(mask, (list, tuple)):
        raise MaskError('mask_type')
    if any(not isinstance(polygon, (list, tuple, np.ndarray)) for polygon in mask):
        raise MaskError('mask_flat' if all(isinstance(value, (int, float)) for value in mask) else 'mask_type')
    kept = [polygon for polygon in mask if len(polygon) >= 6 and len(polygon) % 2 == 0]
    for polygon in mask:
        _check_outline(polygon)
    return kept or None


def _check_outline(polygon: Sequence | np.ndarray) -> None:
    if isinstance(polygon, np.ndarray) and polygon.ndim != 1:
        raise MaskError('mask_points')
    try:
        total = np.abs(polygon).sum() if isinstance(polygon, np.ndarray) else sum(map(abs, polygon))
        # NaN is not less either
        fits = total < SHORT or _outline(np.array(polygon, float)) <= LONGEST
    except (TypeError, ValueError, OverflowError):
        if any(isinstance(value, (list, tuple)) for value in polygon):
            raise MaskError('mask_points') from None
        fits = False
    if not fits:
        raise MaskError('mask_numbers')


def _outline(polygon: np.ndarray) -> float:
    """Pixels from the corner of the image to a polygon [2 * n] and around it, NaN if one of its numbers is."""
    points = polygon[: len(polygon) // 2 * 2].reshape(-1, 2)
    around = np.abs(np.diff(points, axis=0, append=points[:1])).sum()
    return float(around + np.abs(polygon).max(initial=0))


def _readable_rle(rle: dict, height: float, width: float) -> dict:
    size, counts = rle['size'], rle['counts']
    if not isinstance(size, (list, tuple, np.ndarray)) or len(size) != 2 or tuple(size) != (height, width):
        raise MaskError('mask_size', f': RLE of size {size!r}, image of [{height:g}, {width:g}]')
    lengths = run_lengths(counts)
    if lengths is None or lengths.sum() != height * width:
        raise MaskError('mask_counts')
    if not isinstance(counts, (str, bytes)):
        counts = lengths.tolist()
    return {'size': [int(height), int(width)], 'counts': counts}


def run_lengths(counts: object) -> np.ndarray | None:
    """The lengths of background and object in turn, in COCO's order: int64 [n], None if they are none.

    `counts` as an annotation has them: a list, or the text of 6 bits a byte that pycocotools writes.
    """
    if isinstance(counts, str):
        counts = counts.encode(errors='surrogatepass')  # bytes beyond ASCII are no digits
    if isinstance(counts, bytes):
        lengths = _decoded(np.frombuffer(counts, np.uint8))
    else:
        if not isinstance(counts, (list, tuple)) or any(isinstance(count, str) for count in counts):
            return None
        try:
            lengths = np.array(counts)
        except (ValueError, OverflowError):
            return None
        if lengths.ndim != 1 or lengths.dtype.kind not in 'iuf' or not (np.abs(lengths) < 2**32).all():
            return None
        if (lengths % 1).any():
            return None
        lengths = lengths.astype(np.int64)
    return None if lengths is None or lengths.min(initial=0) < 0 else lengths


def _decoded(text: np.ndarray) -> np.ndarray | None:
    """Run lengths from bytes of 5 bits each, lowest first, +32 where more follow; from the fourth on as differences."""
    digits = text.astype(np.int64) - 48
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return None
    ends = np.flatnonzero(digits & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (ends - starts).max() > 6:  # 7 digits hold more than the 32 bits of a length
        return None
    place = np.arange(len(digits)) - np.repeat(starts, ends - starts + 1)
    values = np.add.reduceat((digits & 31) << 5 * place, starts)
    values -= np.where(digits[ends] & 16, 1 << 5 * (ends - starts + 1), 0)  # the highest bit is the sign
    values[1::2] = values[1::2].cumsum()
    values[2::2] = values[2::2].cumsum()
    return values

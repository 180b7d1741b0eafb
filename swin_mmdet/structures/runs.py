"""Masks as runs of pixels down the columns of an image, moved into another image without a bitmap of either."""

import numpy as np
from pycocotools import mask as mask_utils

from swin_mmdet.structures.segmentation import run_lengths


def rle_of_runs(starts: np.ndarray, ends: np.ndarray, height: int, width: int) -> dict:
    """COCO's run-length encoding of the pixels `starts[i]` to before `ends[i]`, [n] each, rising, none empty.

    A pixel's number is its column times `height` plus its row.
    """
    # runs that touch are one
    apart = starts[1:] != ends[:-1]
    starts, ends = starts[np.concatenate([[True], apart])[: len(starts)]], ends[np.append(apart, True)[: len(ends)]]
    borders = np.concatenate([[0], np.stack([starts, ends], 1).ravel(), [height * width]])
    counts = np.diff(borders)
    if len(counts) > 1 and not counts[-1]:
        counts = counts[:-1]
    return mask_utils.frPyObjects(dict(size=[height, width], counts=counts.tolist()), height, width)


def moved(rle: dict, left: int, top: int, height: int, width: int) -> dict:
    """The RLE of a mask in an image of `height` x `width`, of which its own image is the part at (left, top).

    Raises:
        ValueError: it leaves the image, or is no RLE.
    """
    own_height, own_width = rle['size']
    if left + own_width > width or top + own_height > height:
        raise ValueError(f'a mask of {own_height}x{own_width} at row {top}, column {left} leaves {height}x{width}')
    lengths = run_lengths(rle['counts'])
    if lengths is None:
        raise ValueError('an RLE whose counts are no run lengths')
    borders = lengths.cumsum()
    starts, ends = borders[:-1:2], borders[1::2]
    kept = ends > starts
    starts, ends = starts[kept], ends[kept]
    # a run goes on in the next columns: one for each of them
    first, last = starts // own_height, (ends - 1) // own_height
    spans = last - first + 1
    run = np.repeat(np.arange(len(starts)), spans)
    column = np.arange(len(run)) - np.repeat(spans.cumsum() - spans, spans) + first[run]
    begin = np.maximum(starts[run], column * own_height) - column * own_height
    end = np.minimum(ends[run], (column + 1) * own_height) - column * own_height
    offset = (column + left) * height + top
    return rle_of_runs(begin + offset, end + offset, height, width)


def rectangle(left: int, top: int, right: int, bottom: int, height: int, width: int) -> dict:
    """The RLE of a box of whole pixels, without its `right` and `bottom`, within an image; it may be empty."""
    columns = np.arange(left, right) if bottom > top else np.arange(0)
    return rle_of_runs(columns * height + top, columns * height + bottom, height, width)

"""What is found in images that have been read: whole, in batches, or in slices."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from swin_mmdet.api.found import Found, found_in
from swin_mmdet.api.merging import Seen, merged, seen_in
from swin_mmdet.api.slices import Slices, Tile
from swin_mmdet.engine.inference import Detect


def batches(items: Iterator, size: int) -> Iterator[list]:
    """The items, so many at a time."""
    while batch := list(islice(items, size)):
        yield batch


def look(detect: Detect, images: Sequence[np.ndarray], score_thr: float) -> list[Found]:
    """What a batch of images has."""
    return [found_in(sample, score_thr) for sample in detect(images)] if len(images) else []


def look_in_slices(
    detect: Detect, image: np.ndarray, slices: Slices, score_thr: float, batch_size: int, test_size: tuple | None
) -> Found:
    """What an image has, seen in tiles of which `batch_size` are looked at together; see `merging`.

    An image of one tile is looked at as without slices.
    """
    height, width = image.shape[:2]
    tiles = slices.tiles(height, width, test_size)
    if len(tiles) == 1:
        return look(detect, [image], score_thr)[0]
    seen: list[Seen] = []
    if slices.whole:
        (found,) = look(detect, [image], score_thr)
        seen.append(seen_in(Tile(0, 0, width, height), found, height, width))
    for batch in batches(iter(tiles), batch_size):
        results = look(detect, [np.ascontiguousarray(tile.cut(image)) for tile in batch], score_thr)
        seen += [seen_in(tile, found, height, width) for tile, found in zip(batch, results, strict=True)]
    return merged(seen, slices.threshold)

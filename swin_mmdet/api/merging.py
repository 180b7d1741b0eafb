"""Detections of the tiles of an image as detections of the image: each object once.

An object that is smaller than the overlap of tiles is whole in at least one of them; others see parts of it, which end
at their borders. So detections that end at a border inside of the image (parts) are trusted less than others (wholes):

1. of wholes that are one object the best stays;
2. parts that lie in a whole go;
3. parts of two tiles are one object where the tiles see the same of it: in what both tiles have, their masks (or
   boxes) agree. They become one, of their union; so does a chain of them, however large;
4. of what there is now, again the best of an object stays.

Everything is done on run lengths and boxes, class by class.
"""

from dataclasses import dataclass

import numpy as np
from pycocotools import mask as mask_utils

from swin_mmdet.api.found import Found, joined
from swin_mmdet.api.slices import Tile
from swin_mmdet.structures.runs import moved, rectangle

# pixels that a box may end before the border that cuts its object, and share of the tile's side if that is more
NEAR, NEAR_SHARE = 2.0, 0.005


@dataclass(frozen=True)
class Seen:
    """What was found in a tile, in pixels of the image; `is_part` [N] where its border may have cut it."""

    tile: Tile
    found: Found
    is_part: np.ndarray


def seen_in(tile: Tile, found: Found, height: int, width: int) -> Seen:
    """Detections in pixels of a tile, as parts of its image."""
    corner = np.array([tile.left, tile.top] * 2, np.float32)
    boxes = found.boxes + corner
    inner = np.array([tile.left > 0, tile.top > 0, tile.right < width, tile.bottom < height])
    sides = np.array([tile.right - tile.left, tile.bottom - tile.top] * 2)
    near = np.abs(boxes - np.array(tile)) <= np.maximum(NEAR, NEAR_SHARE * sides)
    rles = found.rles
    if rles is not None:
        rles = [moved(rle, tile.left, tile.top, height, width) for rle in rles]
    return Seen(tile, Found(boxes, found.scores, found.labels, rles), (near & inner).any(1))


def merged(seen: list[Seen], threshold: float) -> Found:
    """Each object of the image once, best first."""
    everything = joined([one.found for one in seen])
    is_part = np.concatenate([one.is_part for one in seen])
    tile = np.repeat(np.arange(len(seen)), [len(one.found) for one in seen])
    tiles = [one.tile for one in seen]
    results = [everything.take(np.arange(0))]
    for label in np.unique(everything.labels).tolist():
        own = np.flatnonzero(everything.labels == label)
        results.append(_of_class(everything.take(own), is_part[own], tile[own], tiles, threshold))
    return joined(results).by_score()


def _of_class(found: Found, is_part: np.ndarray, tile: np.ndarray, tiles: list[Tile], threshold: float) -> Found:
    order, near = np.argsort(-found.scores, kind='stable'), _neighbours(found, tile)
    is_whole = _best(found, order[~is_part[order]], near, threshold)
    parts = [
        index
        for index in order[is_part[order]].tolist()
        if not _is_shared(found, index, near[index][is_whole[near[index]]], threshold, of_it=True)
    ]
    groups = _groups(found, parts, tile, near, tiles, threshold)
    wholes = order[is_whole[order]]
    together = joined([found.take(wholes), *(_union(found, group) for group in groups)])
    # unions are of several tiles; wholes come first, whatever their scores are
    near = _neighbours(together, np.concatenate([tile[wholes], -1 - np.arange(len(groups))]))
    return together.take(np.flatnonzero(_best(together, np.arange(len(together)), near, threshold)))


def _neighbours(found: Found, tile: np.ndarray) -> list[np.ndarray]:
    """For each detection those of other tiles whose boxes it overlaps.

    What is twice in one tile is the detector's to say.
    """
    boxes = found.boxes
    by_left = np.argsort(boxes[:, 0], kind='stable')
    ends = np.atleast_1d(np.searchsorted(boxes[by_left, 0], boxes[by_left, 2]))
    near: list[list[int]] = [[] for _ in by_left]
    for position, index in enumerate(by_left.tolist()):
        others = by_left[position + 1 : ends[position]]
        box, their = boxes[index], boxes[others]
        touches = (their[:, 1] < box[3]) & (their[:, 3] > box[1]) & (their[:, 2] > box[0])
        for other in others[touches & (tile[others] != tile[index])].tolist():
            near[index].append(other)
            near[other].append(index)
    return [np.array(one, np.int64) for one in near]


def _best(found: Found, order: np.ndarray, near: list[np.ndarray], threshold: float) -> np.ndarray:
    """Of detections in this order those that share less than `threshold` of the union with each before: bool [N]."""
    kept = np.zeros(len(found), bool)
    for index in order.tolist():
        kept[index] = not _is_shared(found, index, near[index][kept[near[index]]], threshold, of_it=False)
    return kept


def _is_shared(found: Found, index: int, others: np.ndarray, threshold: float, of_it: bool) -> bool:
    """Whether a detection has that share in common with one of others: of their union, or of itself."""
    if not len(others):
        return False
    if found.rles is not None:
        rles = [found.rles[other] for other in others.tolist()]
        # of a crowd pycocotools takes the share of the first
        shares = mask_utils.iou([found.rles[index]], rles, [int(of_it)] * len(rles))
        return bool((shares >= threshold).any())
    box, boxes = found.boxes[index].astype(np.float64), found.boxes[others].astype(np.float64)
    common = (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).prod(1)
    area, areas = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return bool((common >= threshold * (area if of_it else area + areas - common)).any())


def _groups(
    found: Found, parts: list[int], tile: np.ndarray, near: list[np.ndarray], tiles: list[Tile], threshold: float
) -> list[list[int]]:
    """Parts that are one object."""
    group: dict[int, list[int]] = {}
    for index in parts:
        group[index] = [index]
        for other in near[index].tolist():
            if other not in group or group[index] is group[other]:
                continue
            if _agreement(found, index, other, tiles[tile[index]].common(tiles[tile[other]])) >= threshold:
                group[other].extend(group[index])
                for member in group[index]:
                    group[member] = group[other]
    return list({id(members): members for members in group.values()}.values())


def _agreement(found: Found, one: int, other: int, zone: Tile) -> float:
    """IoU of two detections in a part of the image."""
    boxes = found.boxes[[one, other]].astype(np.float64)
    boxes[:, :2] = np.maximum(boxes[:, :2], zone[:2])
    boxes[:, 2:] = np.minimum(boxes[:, 2:], zone[2:])
    sizes = boxes[:, 2:] - boxes[:, :2]
    if (sizes <= 0).any():
        return 0.0
    if found.rles is None:
        common = (boxes[:, 2:].min(0) - boxes[:, :2].max(0)).clip(min=0).prod()
        return float(common / (sizes.prod(1).sum() - common))
    height, width = found.rles[one]['size']
    inside = rectangle(*zone, height, width)
    cut = [mask_utils.merge([found.rles[index], inside], intersect=True) for index in (one, other)]
    return float(mask_utils.iou(cut[:1], cut[1:], [0])[0, 0])


def _union(found: Found, group: list[int]) -> Found:
    """Parts as one detection, with the score of the best."""
    boxes = found.boxes[group]
    box = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])[None]
    rles = None if found.rles is None else [mask_utils.merge([found.rles[index] for index in group])]
    return Found(box, found.scores[group].max(keepdims=True), found.labels[group[:1]], rles)

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
    order = np.argsort(-found.scores, kind='stable')
    wholes = _best(found, order[~is_part[order]], tile, threshold)
    parts = [
        index
        for index in order[is_part[order]].tolist()
        if not (_shares(found, index, wholes, tile, of_first=True) >= threshold).any()
    ]
    groups = _groups(found, np.array(parts, np.int64), tile, tiles, threshold)
    together = joined([found.take(np.array(wholes, np.int64)), *(_union(found, group) for group in groups)])
    # of several tiles, each of its own
    source = np.concatenate([tile[wholes], -1 - np.arange(len(groups))])
    # wholes come first, whatever their scores are
    return together.take(np.array(_best(together, np.arange(len(together)), source, threshold), np.int64))


def _best(found: Found, order: np.ndarray, tile: np.ndarray, threshold: float) -> list[int]:
    """Of detections in this order those that share less than `threshold` of the union with each before."""
    kept: list[int] = []
    for index in order.tolist():
        if not (_shares(found, index, kept, tile, of_first=False) >= threshold).any():
            kept.append(index)
    return kept


def _shares(found: Found, index: int, others: list[int], tile: np.ndarray, of_first: bool) -> np.ndarray:
    """What a detection has in common with each of others [n], as share of the union, or of itself.

    0 for those of its own tile: what is there twice is the detector's to say.
    """
    shares = np.zeros(len(others))
    if not others:
        return shares
    box, boxes = found.boxes[index].astype(np.float64), found.boxes[others].astype(np.float64)
    common = _common(box, boxes) * (tile[others] != tile[index])
    touching = np.flatnonzero(common)
    if not len(touching):
        return shares
    if found.rles is None:
        area, areas = (box[2:] - box[:2]).prod(), (boxes[:, 2:] - boxes[:, :2]).prod(1)
        whole = area if of_first else area + areas - common
        return common / np.maximum(whole, 1e-9)
    rles = [found.rles[others[other]] for other in touching.tolist()]
    # of a crowd pycocotools takes the share of the first
    shares[touching] = mask_utils.iou([found.rles[index]], rles, [int(of_first)] * len(rles))[0]
    return shares


def _common(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Areas [n] of a box [4] within boxes [n, 4]."""
    return (np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])).clip(min=0).prod(1)


def _groups(
    found: Found, parts: np.ndarray, tile: np.ndarray, tiles: list[Tile], threshold: float
) -> list[list[int]]:
    """Parts [n] that are one object."""
    group = {index: [index] for index in parts.tolist()}
    for position, index in enumerate(parts.tolist()):
        before = parts[:position]
        near = (_common(found.boxes[index], found.boxes[before]) > 0) & (tile[before] != tile[index])
        for other in before[near].tolist():
            if group[index] is group[other]:
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

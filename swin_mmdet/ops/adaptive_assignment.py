"""Adaptive training sample selection (ATSS, arXiv 1912.02424, algorithm 1) for all images of a batch at once.

Public behaviour: mmdet's `ATSSAssigner`. Nothing synchronises with the GPU.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from swin_mmdet.ops.box_overlaps import overlaps
from swin_mmdet.ops.to_device import to_device

# pixels that the center of an anchor is inside of its object at least
MIN_INSIDE = 0.01
# of a key: the bits of an overlap, which order as it does
OVERLAP_SHIFT = 32


def assign_adaptively(
    anchors: Tensor,
    valid: Tensor,
    level_counts: Sequence[int],
    objects: Tensor,
    counts: Sequence[int] | Tensor,
    nearest: int,
    around: Tensor | None = None,
) -> Tensor:
    """The object of each anchor plus one, 0 for background, -1 where not `valid`: [B, N] int64.

    Candidates of an object are the `nearest` anchors of each level by distance of centers. It takes those that overlap
    it by the candidates' mean plus standard deviation, and whose center it contains. An anchor that several objects
    take is that one's it overlaps most; of equal ones the first.

    Args:
        anchors: [N, 4] float32: x1, y1, x2, y2, level after level; or those of each image, [B, N, 4].
        valid: [B, N] bool; others are as if they were not there.
        level_counts: how many of the N are of each level.
        objects: [B, G, 4] float32, of which image b has the first counts[b].
        counts: on the host what is made is of the objects that there are, T in all; of a tensor [B] no number is read,
            and it is made of all T = B * G.
        nearest: candidates of a level.
        around: [B, G, 2]: where an object is looked for, instead of at the center of its box.
    """
    if isinstance(counts, Tensor):
        place = torch.arange(objects[..., 0].numel(), device=objects.device)
        image, number = place // objects.shape[1], place % objects.shape[1]
        exists = valid[image] & (number < counts[image])[:, None]
    else:
        images = [image for image, count in enumerate(counts) for _ in range(count)]
        numbers = [number for count in counts for number in range(count)]
        if not images:
            return valid.long() - 1
        image, number = to_device([images, numbers], objects, torch.int64)
        exists = valid[image]
    boxes = objects[image, number]
    targets, centers = _centers(boxes) if around is None else around[image, number], _centers(anchors)
    is_shared = anchors.dim() == 2
    candidates = _nearest(centers if is_shared else centers[image], exists, level_counts, targets, nearest)
    exists = exists.gather(1, candidates)

    boxes, candidate_boxes = boxes[:, None], anchors[candidates] if is_shared else anchors[image[:, None], candidates]
    overlap = overlaps(candidate_boxes, boxes)
    centers = _centers(candidate_boxes)
    margin = torch.minimum(centers - boxes[..., :2], boxes[..., 2:] - centers).amin(-1)
    taken = exists & (overlap >= _mean_plus_deviation(overlap, exists)) & (margin > MIN_INSIDE)

    # overlap, then earlier object, all in one number
    last = objects.shape[1]
    keys = overlap.view(torch.int32).long() << OVERLAP_SHIFT | (last - number)[:, None]
    index = candidates + (image * valid.shape[1])[:, None]
    best = torch.full((valid.numel(),), -1, device=valid.device)
    best = best.scatter_reduce(0, index.flatten(), keys.masked_fill(~taken, -1).flatten(), 'amax').view_as(valid)
    own = last - (best & (1 << OVERLAP_SHIFT) - 1) + 1
    return torch.where(valid, torch.where(best >= 0, own, 0), -1)


def _nearest(centers: Tensor, exists: Tensor, level_counts: Sequence[int], targets: Tensor, nearest: int) -> Tensor:
    """Anchors nearest to targets [T, 2] in each level: [T, K] int64.

    They have centers [N, 2], or [T, N, 2] for each target its own; of them those in `exists` [T, N] count.

    Where a level has fewer than wanted, others that do not exist.
    """
    indices, start = [], 0
    # a level at a time, for memory
    for level, there in zip(centers.split(level_counts, -2), exists.split(level_counts, 1), strict=True):
        x, y = ((level[..., axis] - targets[:, axis, None]).square() for axis in (0, 1))
        # with the root, as in mmdet: it makes equal what is almost
        distance = (x + y).sqrt().masked_fill(~there, torch.inf)
        indices.append(distance.topk(min(nearest, there.shape[1]), largest=False).indices + start)
        start += there.shape[1]
    return torch.cat(indices, 1)


def _mean_plus_deviation(overlap: Tensor, exists: Tensor) -> Tensor:
    """Of those that exist: [T, K] -> [T, 1] float64; no number of a single one.

    Where all overlap equally, as on a level alone, all are to be taken, which float32 would leave to its rounding.
    """
    overlap, count = overlap.double().masked_fill(~exists, 0), exists.sum(1, keepdim=True)
    mean = overlap.sum(1, keepdim=True) / count
    squares = (overlap - mean).square().masked_fill(~exists, 0)
    return mean + (squares.sum(1, keepdim=True) / (count - 1)).sqrt()


def _centers(boxes: Tensor) -> Tensor:
    return (boxes[..., :2] + boxes[..., 2:]) / 2

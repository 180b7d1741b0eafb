"""Masks of boxes in their images as run lengths, without a bitmap of an image."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

# pixels that are sampled at once, at 20 bytes or so
PIXELS_AT_ONCE = 2**23
# a CPU gains nothing from instances side by side, which cost it the pixels that fill up the smaller ones
PIXELS_AT_ONCE_ON_CPU = 0


def paste_masks(masks: Tensor, boxes: Tensor, sizes: Tensor, threshold: float) -> list[list[int]]:
    """The masks of N instances in their images, as lengths of runs of 0, 1, 0, ... in columns from the left.

    masks [N, S, S] probabilities; on the CPU boxes [N, 4] float32 that they fill, as (x1, y1, x2, y2) in pixels, and
    sizes [N, 2] int64, height and width of each instance's image. A pixel is 1 where the mask, sampled bilinearly at
    its centre and zero outside, is `threshold` or more, which is at least 0.5: less would reach beyond the box.

    The bits are those of mmdet's `FCNMaskHead` on a CPU, which samples the box and a pixel around it. (On a GPU it
    samples the whole image, where only a box without width or height has anything more: lines across the image.) Only
    the places of changes leave the GPU.
    """
    assert threshold >= 0.5, threshold
    if not len(masks):
        return []
    tiles = _tiles(boxes, sizes)
    changes = [_changes(masks, boxes, tiles, which, threshold) for which in _groups(tiles, masks.is_cuda)]
    places, instances = (torch.cat(parts) for parts in zip(*changes))
    places = places[instances.argsort(stable=True)].split(instances.bincount(minlength=len(masks)).tolist())
    return [_runs(place, size) for place, size in zip(places, sizes.prod(1).tolist())]


def _tiles(boxes: Tensor, sizes: Tensor) -> Tensor:
    """[N, 5] int64: left, top, width and height of what is sampled, and the height of the image."""
    height, width = sizes.unbind(1)
    first = (boxes[:, :2].floor() - 1).clamp(min=0).long()
    last = (boxes[:, 2:].ceil() + 1).long().minimum(torch.stack((width, height), dim=1))
    return torch.cat((first, (last - first).clamp(min=0), height[:, None]), dim=1)


def _groups(tiles: Tensor, on_gpu: bool) -> Iterator[Tensor]:
    """Instances of similar height, as many as may be sampled at once."""
    order = tiles[:, 3].argsort()
    widths, heights = tiles[order, 2].tolist(), tiles[order, 3].tolist()
    most = PIXELS_AT_ONCE if on_gpu else PIXELS_AT_ONCE_ON_CPU
    start, widest = 0, 0
    for index, (width, height) in enumerate(zip(widths, heights)):
        widest = max(widest, width)
        if index > start and (index + 1 - start) * widest * height > most:
            yield order[start:index]
            start, widest = index, width
    yield order[start:]


def _changes(masks: Tensor, boxes: Tensor, tiles: Tensor, which: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Where pixels differ from the one before, [T] in the columns of its image, and of which instance, on the CPU."""
    tiles = tiles[which]
    # a row more, so that the last pixel of a column is followed by a zero
    columns, rows = int(tiles[:, 2].max()), int(tiles[:, 3].max()) + 1
    index = which.to(masks.device, non_blocking=True)
    left, top, width, height, _ = tiles.to(masks.device, non_blocking=True).unbind(1)
    masks, boxes = masks[index].float(), boxes[which].to(masks.device, non_blocking=True)
    x, x_inside = _samples(columns, left, width, boxes[:, 0], boxes[:, 2])
    y, y_inside = _samples(rows, top, height, boxes[:, 1], boxes[:, 3])
    # columns are rows of the sampled map, for they are the order of the runs
    grid = torch.stack(torch.broadcast_tensors(x[:, :, None], y[:, None, :]), dim=3)
    bits = F.grid_sample(masks[:, None], grid, align_corners=False)[:, 0] >= threshold
    bits = (bits & x_inside[:, :, None] & y_inside[:, None, :]).flatten(1)
    instance, place = (bits ^ F.pad(bits[:, :-1], (1, 0))).nonzero().cpu().unbind(1)
    left, top, _, _, image_height = tiles[instance].unbind(1)
    column, row = place // rows, place % rows
    return (left + column) * image_height + top + row, which[instance]


def _samples(count: int, first: Tensor, length: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of `count` pixels from `first` [n] on, as [n, count] in [-1, 1] from low to high, and which are meant."""
    step = torch.arange(count, device=low.device)
    centre = (first[:, None] + step).float() + 0.5
    place = (centre - low[:, None]) / (high - low)[:, None] * 2 - 1
    return place.where(~place.isinf(), 0.0), step < length[:, None]


def _runs(places: Tensor, pixels: int) -> list[int]:
    """Ascending places of changes among `pixels` pixels to run lengths."""
    # a column that ends at the last row and the next that begins at the first are one run: both places go
    twice = places[1:] == places[:-1]
    once = ~(F.pad(twice, (1, 0)) | F.pad(twice, (0, 1)))
    places = places[once & (places < pixels)].tolist()
    return [end - start for start, end in zip([0, *places], [*places, pixels])]

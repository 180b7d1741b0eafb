"""Masks of boxes in their images as run lengths, without a bitmap of an image.

An example: a mask of 2 x 3 in an image of as many pixels, which its box (0, 0, 3, 2) fills. Each pixel is sampled where
the mask has a number, and is 1 from the threshold 0.5 on. A row more lies outside the mask, so it is 0.

    0.1  0.9  0.8         0  1  1
    0.2  0.6  0.3    ->   0  1  0
                          0  0  0

Run lengths go down the columns, here 0 0 0, 1 1 0 and 1 0 0. `_changes` finds the pixels that differ from the one
before, and `paste_masks` gives them their index in the image, column * 2 + row:

    column, row    1, 0    1, 2    2, 0    2, 1
    index             2       4       4       5

The row more ends the second column, which reaches the last row; but the third begins with 1, so the run goes on there.
That is why `runs_between` takes out an index that comes twice. Between 0, 2, 5 and the end, 6, are the lengths 2, 3 and
1: of 0, of 1 and of 0 again.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

# pixels that are sampled at once, at 20 bytes or so
PIXELS_AT_ONCE = 2**23
# a CPU gains nothing from instances side by side, which cost it the pixels that fill up the smaller ones
PIXELS_AT_ONCE_ON_CPU = 0
# a location in [-1, 1] of the mask, far enough outside to be sampled as zero
OUTSIDE = 3.0


def paste_masks(masks: Tensor, boxes: Tensor, sizes: Tensor, threshold: float) -> list[Sequence[int]]:
    """The masks of N instances in their images, as lengths of runs of 0, 1, 0, ... in columns from the left.

    masks [N, S, S] probabilities; on the CPU boxes [N, 4] float32 that they fill, as (x1, y1, x2, y2) in pixels, and
    sizes [N, 2] int64, height and width of each instance's image. A pixel is 1 where the mask, sampled bilinearly at
    its centre and zero outside, is `threshold` or more, which is at least 0.5: less would reach beyond the box. The
    lengths are arrays of int32.

    The bits are those of mmdet's `FCNMaskHead` on a CPU, which samples the box and a pixel around it. (On a GPU it
    samples the whole image, where only a box without width or height has anything more: lines across the image.) Only
    the lengths leave the GPU.
    """
    assert threshold >= 0.5, threshold
    if not len(masks):
        return []
    first, length = _sampled_regions(boxes, sizes)
    order = length[:, 1].argsort()
    boxes, sizes, first, length = boxes[order], sizes[order], first[order], length[order]
    # pixels are numbered through all images, one for each instance
    start = F.pad(sizes.prod(1).cumsum(0), (1, 0))
    origin = start[:-1] + first[:, 0] * sizes[:, 0] + first[:, 1]
    groups, longest = _groups(length, masks.is_cuda), int(length.max())
    numbers = torch.cat((first, length, sizes[:, :1], origin[:, None], order[:, None]), dim=1)
    boxes, start, numbers = (x.to(masks.device, non_blocking=True) for x in (boxes, start, numbers))
    first, length = numbers[:, :2], numbers[:, 2:4]
    height, origin, index = numbers[:, 4:].unbind(1)
    masks, where, changes = masks[index].float(), _samples(boxes, first, length, longest + 1), []
    for group, columns, rows in groups:
        # a row more, so that the last pixel of a column is followed by a zero
        x, y = where[group, 0, :columns], where[group, 1, : rows + 1]
        instance, column, row = _changes(masks[group], x, y, threshold)
        instance = instance + group.start
        changes.append((instance, origin[instance] + column * height[instance] + row))
    instance, changed = (torch.cat(parts) for parts in zip(*changes))
    runs = runs_between(instance, changed, start)
    return [runs[rank] for rank in order.argsort().tolist()]


def _sampled_regions(boxes: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """What is sampled: left and top, width and height, each [N, 2] int64."""
    first = (boxes[:, :2].floor() - 1).clamp(min=0).long()
    last = (boxes[:, 2:].ceil() + 1).long().minimum(sizes.flip(1))
    return first, (last - first).clamp(min=0)


def _samples(boxes: Tensor, first: Tensor, length: Tensor, count: int) -> Tensor:
    """Of `length` [N, 2] pixels from `first` [N, 2] on the locations in their boxes, [-1, 1]: [N, 2, count], x, y."""
    step = torch.arange(count, device=boxes.device) + 0.5
    low, high = boxes[:, :2, None], boxes[:, 2:, None]
    location = (first[..., None] + step - low) / (high - low) * 2 - 1
    location = location.nan_to_num(nan=torch.nan, posinf=0.0, neginf=0.0)
    return location.where(step < length[..., None], OUTSIDE)


def _groups(length: Tensor, on_gpu: bool) -> list[tuple[slice, int, int]]:
    """Of instances ordered by height as many as may be sampled at once, with the most columns and rows."""
    max_pixels = PIXELS_AT_ONCE if on_gpu else PIXELS_AT_ONCE_ON_CPU
    groups, start, columns, rows = [], 0, 0, 0
    for index, (width, height) in enumerate(length.tolist()):
        if index > start and (index + 1 - start) * max(columns, width) * height > max_pixels:
            groups.append((slice(start, index), columns, rows))
            start, columns = index, 0
        columns, rows = max(columns, width), height
    return [*groups, (slice(start, len(length)), columns, rows)]


def _changes(masks: Tensor, x: Tensor, y: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Which pixels differ from the one above, or from the last of the column before: instances, columns and rows.

    masks [n, S, S] at locations x [n, W] and y [n, H], of which the last is outside.
    """
    # columns are rows of the sampled map, for they are the order of the runs
    grid = torch.stack(torch.broadcast_tensors(x[:, :, None], y[:, None, :]), dim=3)
    bits = (F.grid_sample(masks[:, None], grid, align_corners=False) >= threshold).flatten()
    # rolled, a zero comes first: the last row is outside
    index = (bits ^ bits.roll(1)).nonzero()[:, 0]
    columns, rows = x.shape[1], y.shape[1]
    return index // (columns * rows), index // rows % columns, index % rows


def runs_between(instance: Tensor, index: Tensor, start: Tensor) -> list[Sequence[int]]:
    """Lengths of runs from the indices [T] of pixels that change, ascending; instance i has those from start[i] on."""
    # a column that ends at the last row and the next that begins at the first are one run: both indices go, while the
    # end of an instance and the begin of the next are apart
    framed = F.pad(index + instance, (1, 1), value=-1)
    once = (framed[1:-1] != framed[:-2]) & (framed[1:-1] != framed[2:])
    index = index[once & (index < start[instance + 1])]
    # a first pixel of 1 is after a run of no 0
    lengths = torch.cat((start, index)).sort().values.diff()
    ends = torch.searchsorted(index, start) + torch.arange(len(start), device=start.device)
    # slices of an array cost less than those of a tensor
    numbers = torch.cat((ends, lengths)).int().cpu().numpy()
    ends, lengths = numbers[: len(start)].tolist(), numbers[len(start) :]
    return [lengths[begin:end] for begin, end in pairwise(ends)]

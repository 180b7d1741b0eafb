"""Masks that grow to their images, in two passes over pixels that are never written: what they are, and their runs."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
import triton
import triton.language as tl
from torch import Tensor

from swin_mmdet.ops.grown_masks import LEAST, GrownMasks, Growth
from swin_mmdet.ops.mask_runs import LateRuns
from swin_mmdet.ops.to_device import AsyncHostCopy, to_device
from swin_mmdet.ops.triton_fast_launch import fast_launch, on_device_of

ROWS = 512  # pixels of a column that a program takes


@triton.jit
def source(place, scale, length):
    """The two pixels of a row of `length` that a place lies between, and the share of the second; as in PyTorch."""
    at = tl.maximum((place.to(tl.float32) + 0.5) * scale - 0.5, 0.0)
    first = at.to(tl.int32)
    return first, tl.minimum(first + 1, length - 1), at - first.to(tl.float32)


@triton.jit
def between(top_left, top_right, low_left, low_right, down, right):
    """In the order of PyTorch's sums."""
    top = (1.0 - right) * top_left + right * top_right
    low = (1.0 - right) * low_left + right * low_right
    return (1.0 - down) * top + down * low


@triton.jit
def padded_logit(mask, x, y, scale_x, scale_y, small_width, small_height, exists):
    """Of the padded image at columns x and rows y; the mask itself [w, h] is in columns."""
    left, right, share_x = source(x, scale_x, small_width)
    top, low, share_y = source(y, scale_y, small_height)
    return between(
        tl.load(mask + left * small_height + top, mask=exists, other=0.0),
        tl.load(mask + right * small_height + top, mask=exists, other=0.0),
        tl.load(mask + left * small_height + low, mask=exists, other=0.0),
        tl.load(mask + right * small_height + low, mask=exists, other=0.0),
        share_y,
        share_x,
    )


@triton.jit
def logit(
    mask, x, y, sizes, scales, scale_x, scale_y, small_width, small_height, exists, GROWS_TWICE: tl.constexpr
):  # fmt: skip
    """At columns x and rows y of the grown mask."""
    if GROWS_TWICE:
        left, right, share_x = source(x, tl.load(scales + 1), tl.load(sizes + 1))
        top, low, share_y = source(y, tl.load(scales), tl.load(sizes))
        return between(
            padded_logit(mask, left, top, scale_x, scale_y, small_width, small_height, exists),
            padded_logit(mask, right, top, scale_x, scale_y, small_width, small_height, exists),
            padded_logit(mask, left, low, scale_x, scale_y, small_width, small_height, exists),
            padded_logit(mask, right, low, scale_x, scale_y, small_width, small_height, exists),
            share_y,
            share_x,
        )
    return padded_logit(mask, x, y, scale_x, scale_y, small_width, small_height, exists)


@triton.jit
def pixels_of_program(
    masks, images, sizes, scales, scale_x, scale_y, small_width, small_height, blocks, GROWS_TWICE: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """Some pixels of a column of a mask: rows, index, logits, whether each is 1, and is not as the one before.

    Before the first of a column is the last of the column before; the first of all is held against 0.
    """
    number, place = tl.program_id(1).to(tl.int64), tl.program_id(0)
    image = tl.load(images + number)
    own_sizes, own_scales = sizes + 4 * image, scales + 2 * image
    height, width = tl.load(own_sizes + 2), tl.load(own_sizes + 3)
    x = place // blocks
    y = (place % blocks) * ROWS + tl.arange(0, ROWS)
    inside = (y < height) & (x < width)
    mask = masks + number * (small_height * small_width)
    x = x + tl.zeros_like(y)
    value = logit(
        mask, x, y, own_sizes, own_scales, scale_x, scale_y, small_width, small_height, inside, GROWS_TWICE
    )
    before_y = tl.where(y == 0, height - 1, y - 1)
    before_x = tl.where(y == 0, x - 1, x)
    has_before = inside & (before_x >= 0)
    before = logit(
        mask, tl.maximum(before_x, 0), before_y, own_sizes, own_scales, scale_x, scale_y, small_width, small_height,
        has_before, GROWS_TWICE,
    )  # fmt: skip
    bit = inside & (value > 0)
    changed = inside & (bit != (has_before & (before > 0)))
    return y, x * height + y, value, bit, changed


@fast_launch
@triton.jit(do_not_specialize=['scale_x', 'scale_y', 'small_width', 'small_height', 'blocks', 'programs'])
def measure_kernel(
    masks, images, sizes, scales, sums, numbers, scale_x, scale_y, small_width, small_height, blocks, programs,
    GROWS_TWICE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Of each program's pixels: sums of probabilities of those that are 1 [N, programs], and numbers [4, N, programs].

    Numbers are how many are 1, the first and the last such row, and how many pixels change.
    """
    y, _, value, bit, changed = pixels_of_program(
        masks, images, sizes, scales, scale_x, scale_y, small_width, small_height, blocks, GROWS_TWICE, ROWS
    )
    place = tl.program_id(1).to(tl.int64) * programs + tl.program_id(0)
    step = tl.num_programs(1).to(tl.int64) * programs
    tl.store(sums + place, tl.sum(tl.where(bit, 1.0 / (1.0 + tl.exp(-value)), 0.0), 0))
    tl.store(numbers + place, tl.sum(bit.to(tl.int32), 0))
    tl.store(numbers + step + place, tl.min(tl.where(bit, y, 2147483647), 0))
    tl.store(numbers + 2 * step + place, tl.max(tl.where(bit, y, -1), 0))
    tl.store(numbers + 3 * step + place, tl.sum(changed.to(tl.int32), 0))


@fast_launch
@triton.jit(do_not_specialize=['scale_x', 'scale_y', 'small_width', 'small_height', 'blocks', 'programs'])
def changes_kernel(
    masks, images, sizes, scales, starts, bounds, scale_x, scale_y, small_width, small_height, blocks, programs,
    GROWS_TWICE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """bounds[starts[n, program] + ...] = index of each pixel that changes."""
    _, index, _, _, changed = pixels_of_program(
        masks, images, sizes, scales, scale_x, scale_y, small_width, small_height, blocks, GROWS_TWICE, ROWS
    )
    start = tl.load(starts + tl.program_id(1).to(tl.int64) * programs + tl.program_id(0))
    rank = tl.cumsum(changed.to(tl.int32), 0) - 1
    tl.store(bounds + start + rank, index, mask=changed)


def triton_grow_masks(masks: Tensor, growths: Sequence[Growth], counts: Sequence[int]) -> GrownMasks:
    """As `grow_masks`, of a mask at least."""
    count, small_height, small_width = masks.shape
    masks = masks.float().mT.contiguous()
    blocks = -(-max(growth.size[0] for growth in growths) // ROWS)
    programs = blocks * max(growth.size[1] for growth in growths)
    images = to_device([image for image, own in enumerate(counts) for _ in range(own)], masks, torch.int32)
    sizes = to_device([[*growth.seen, *growth.size] for growth in growths], masks, torch.int32)
    given = masks, images, sizes, sizes[:, :2].float() / sizes[:, 2:].float()
    # divided in float32, as PyTorch does
    scale_y, scale_x = (torch.tensor(masks.shape[:0:-1]).float() / torch.tensor(growths[0].padded).float()).tolist()
    settings = scale_x, scale_y, small_width, small_height, blocks, programs
    options = {'GROWS_TWICE': any(growth.seen != growth.size for growth in growths), 'ROWS': ROWS}
    sums = masks.new_empty(count, programs)
    numbers = torch.empty(4, count, programs, dtype=torch.int32, device=masks.device)
    with on_device_of(masks):
        measure_kernel[programs, count](*given, sums, numbers, *settings, **options)
        filled, first, last, changed = numbers
        every = changed.sum(1)
        waited = AsyncHostCopy(every)
        # an index of nothing, those of the mask, and the end: of each mask two more than change
        starts = changed.flatten().cumsum(0).sub_(changed.flatten()).view_as(changed)
        starts += 2 * torch.arange(count, device=masks.device)[:, None] + 1
        sure = sums.sum(1) / (filled.sum(1) + LEAST)
        boxes = _boxes(filled > 0, first.amin(1), last.amax(1), blocks)
        begins = [0, *accumulate(one + 2 for one in waited.wait().tolist())]
        bounds = torch.empty(begins[-1], dtype=torch.int32, device=masks.device)
        changes_kernel[programs, count](*given, starts, bounds, *settings, **options)
    places = [(begin, end - 1) for begin, end in pairwise(begins)]
    pixels = [growth.size[0] * growth.size[1] for growth, own in zip(growths, counts, strict=True) for _ in range(own)]
    begin, end, pixels = to_device([*zip(*places, strict=True), pixels], masks, torch.int64)
    bounds[begin], bounds[end] = 0, pixels.int()
    return GrownMasks(sure, boxes, LateRuns(AsyncHostCopy(bounds.diff()), places))


def _boxes(filled: Tensor, first: Tensor, last: Tensor, blocks: int) -> Tensor:
    """[N, 4] of which programs found pixels [N, programs], and the first and last rows [N] with one."""
    columns = filled.unflatten(1, (-1, blocks)).any(2)
    left, right = columns.byte().argmax(1), columns.shape[1] - columns.byte().flip(1).argmax(1)
    boxes = torch.stack([left, first, right, last + 1], 1).float()
    return boxes.where(columns.any(1, keepdim=True), 0)

"""Box assignment in two kernels that go over the objects: overlaps are made twice, and never stored.

Arguments of the kernels, in their order:

    boxes            [B, N, 4] or [1, N, 4]   x1, y1, x2, y2, float32
    valid            [B, N] bool
    objects          [B, G, 4] float32
    counts           [B] int64                objects that there are
    best             [B, G]                   the largest overlap of each object, of zeros at first
    assigned         [B, N] int64             as `assign_boxes` returns it
    boxes_apart      numbers from an image's boxes to the next's: 0 where they share them
    count_boxes, count_objects                N, G
    positive, negative, lowest, min_best      the overlaps of `AssignmentRule`
    WITH_BEST        there is a min_best
    BLOCK            boxes of a program
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from swin_mmdet.ops.box_assignment import AssignmentRule
from swin_mmdet.ops.box_overlaps import EPSILON
from swin_mmdet.ops.triton_fast_launch import fast_launch, on_device_of

BLOCK = 512
# sizes that change with every batch
DYNAMIC = ['boxes_apart', 'count_boxes', 'count_objects']
SMALLEST_UNION: tl.constexpr = tl.constexpr(EPSILON)


@triton.jit
def _load_boxes(boxes, valid, image, box, boxes_apart, count_boxes):
    """Of an image's boxes [BLOCK]: x1, y1, x2, y2, and whether it has them."""
    inside = box < count_boxes
    at = boxes + image * boxes_apart + box * 4
    x1, y1 = tl.load(at, mask=inside, other=0.0), tl.load(at + 1, mask=inside, other=0.0)
    x2, y2 = tl.load(at + 2, mask=inside, other=0.0), tl.load(at + 3, mask=inside, other=0.0)
    return x1, y1, x2, y2, tl.load(valid + image * count_boxes + box, mask=inside, other=0) != 0


@triton.jit
def _overlap(x1, y1, x2, y2, at):
    """Intersection over union of boxes [BLOCK] with the object at a pointer."""
    left, top, right, bottom = tl.load(at), tl.load(at + 1), tl.load(at + 2), tl.load(at + 3)
    wide = tl.maximum(tl.minimum(right, x2) - tl.maximum(left, x1), 0.0)
    high = tl.maximum(tl.minimum(bottom, y2) - tl.maximum(top, y1), 0.0)
    shared = wide * high
    union = (right - left) * (bottom - top) + (x2 - x1) * (y2 - y1) - shared
    # as PyTorch divides: overlaps are compared for equality
    return tl.div_rn(shared, tl.maximum(union, SMALLEST_UNION))


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def best_overlap_kernel(
    boxes, valid, objects, counts, best, boxes_apart, count_boxes, count_objects, BLOCK: tl.constexpr
):  # fmt: skip
    """-> best, as the bits of a float32, which order as it does."""
    image = tl.program_id(1).to(tl.int64)
    box = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x1, y1, x2, y2, exists = _load_boxes(boxes, valid, image, box, boxes_apart, count_boxes)
    count = tl.load(counts + image).to(tl.int32)
    for i in range(count):
        at = image * count_objects + i
        highest = tl.max(tl.where(exists, _overlap(x1, y1, x2, y2, objects + at * 4), 0.0))
        tl.atomic_max(best + at, highest.to(tl.int32, bitcast=True))


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC + ['positive', 'negative', 'lowest', 'min_best'])
def assign_kernel(
    boxes, valid, objects, counts, best, assigned, boxes_apart, count_boxes, count_objects, positive, negative, lowest,
    min_best, WITH_BEST: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """best -> assigned."""
    image = tl.program_id(1).to(tl.int64)
    box = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x1, y1, x2, y2, exists = _load_boxes(boxes, valid, image, box, boxes_apart, count_boxes)
    count = tl.load(counts + image).to(tl.int32)
    highest = tl.zeros((BLOCK,), dtype=tl.float32) - 1
    which = tl.zeros((BLOCK,), dtype=tl.int32)
    last = tl.zeros((BLOCK,), dtype=tl.int32)
    for i in range(count):
        at = image * count_objects + i
        overlap = _overlap(x1, y1, x2, y2, objects + at * 4)
        which = tl.where(overlap > highest, i + 1, which)
        highest = tl.maximum(highest, overlap)
        if WITH_BEST:
            of_object = tl.load(best + at)
            # no overlap is 2
            last = tl.where(overlap == tl.where(of_object >= min_best, of_object, 2.0), i + 1, last)
    highest = tl.maximum(highest, 0.0)
    result = tl.where((highest >= lowest) & (highest < negative) | (count == 0), 0, -1)
    result = tl.where((highest >= positive) & (count > 0), which, result)
    result = tl.where(last > 0, last, result)
    tl.store(assigned + image * count_boxes + box, tl.where(exists, result, -1).to(tl.int64), mask=box < count_boxes)


def triton_assign_boxes(boxes: Tensor, valid: Tensor, objects: Tensor, counts: Tensor, rule: AssignmentRule) -> Tensor:
    """`assign_boxes` on a GPU."""
    boxes, valid, objects = boxes.contiguous(), valid.contiguous(), objects.contiguous()
    images, count_boxes = valid.shape
    assigned = torch.empty(images, count_boxes, dtype=torch.int64, device=boxes.device)
    if not assigned.numel():
        return assigned
    best = torch.zeros(images, objects.shape[1], dtype=torch.float32, device=boxes.device)
    boxes_apart = 4 * count_boxes if len(boxes) > 1 else 0
    sizes = boxes_apart, count_boxes, objects.shape[1]
    grid = triton.cdiv(count_boxes, BLOCK), images
    # multiplications and additions apart, as PyTorch rounds them: overlaps are compared for equality
    options = {'BLOCK': BLOCK, 'enable_fp_fusion': False}
    with on_device_of(boxes):
        if rule.best is not None and best.numel():
            best_overlap_kernel[grid](boxes, valid, objects, counts, best.view(torch.int32), *sizes, **options)
        assign_kernel[grid](
            boxes, valid, objects, counts, best, assigned, *sizes, float(rule.positive), float(rule.negative),
            float(rule.lowest_negative), float(rule.best or 0.0), WITH_BEST=rule.best is not None, **options,
        )  # fmt: skip
    return assigned

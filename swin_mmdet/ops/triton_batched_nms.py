"""Greedy NMS of many segments in two kernels: which boxes overlap, bit by bit, then who is left.

Boxes are taken in tiles of 64, whose bits fill one int64. Overlaps are independent of each other; only their resolution
is in order, and it is one pass over the tiles of a segment: inside a tile `keep = alive & ~OR of the kept boxes' bits`
is repeated until it holds, which is the greedy answer, since a box depends on better ones alone.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from swin_mmdet.ops.triton_fast_launch import fast_launch, on_device_of

TILE = 64  # bits of a word
# by what the compiler says for an H100: twice the warps of 4 fit a multiprocessor
OVERLAP_WARPS = 8
# a warp alone needs no barriers, and holds the rows of a tile up to this in registers
WORDS_OF_WARP = 32


@triton.jit
def _or(a, b):
    return a | b


@fast_launch
@triton.jit(do_not_specialize=['boxes_in_segment'])
def overlap_kernel(boxes, valid, bits, boxes_in_segment, iou_threshold, TILE: tl.constexpr):
    """bits [S, N, W] int64: bit j of word w of row i, IoU(i, 64 w + j) > threshold where i < 64 w + j.

    Words left of the diagonal and those of tiles without a valid box are not written.
    """
    segment, row_tile, word = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    if word >= row_tile:
        words = tl.num_programs(2)
        first = segment.to(tl.int64) * boxes_in_segment
        i, j = row_tile * TILE + tl.arange(0, TILE), word * TILE + tl.arange(0, TILE)
        i_inside, j_inside = i < boxes_in_segment, j < boxes_in_segment
        i_valid = tl.load(valid + first + i, mask=i_inside, other=0)
        j_valid = tl.load(valid + first + j, mask=j_inside, other=0)
        if (tl.max(i_valid.to(tl.int32)) > 0) & (tl.max(j_valid.to(tl.int32)) > 0):
            box = boxes + (first + i) * 4
            left, top = tl.load(box, i_inside, 0.0)[:, None], tl.load(box + 1, i_inside, 0.0)[:, None]
            right, bottom = tl.load(box + 2, i_inside, 0.0)[:, None], tl.load(box + 3, i_inside, 0.0)[:, None]
            box = boxes + (first + j) * 4
            left_j, top_j = tl.load(box, j_inside, 0.0)[None, :], tl.load(box + 1, j_inside, 0.0)[None, :]
            right_j, bottom_j = tl.load(box + 2, j_inside, 0.0)[None, :], tl.load(box + 3, j_inside, 0.0)[None, :]
            width = tl.maximum(tl.minimum(right, right_j) - tl.maximum(left, left_j), 0.0)
            height = tl.maximum(tl.minimum(bottom, bottom_j) - tl.maximum(top, top_j), 0.0)
            overlap = width * height
            union = (right - left) * (bottom - top) + (right_j - left_j) * (bottom_j - top_j) - overlap
            # 0 / 0 of two empty boxes is no number, which is not above the threshold
            falls = (tl.div_rn(overlap, union) > iou_threshold) & (i[:, None] < j[None, :])
            bit = tl.full((TILE,), 1, tl.int64) << tl.arange(0, TILE).to(tl.int64)
            row = tl.sum(tl.where(falls, bit[None, :], 0), axis=1)
            tl.store(bits + (first + i) * words + word, row, mask=i_inside)


@fast_launch
@triton.jit(do_not_specialize=['boxes_in_segment', 'words'])
def keep_kernel(valid, bits, keep, boxes_in_segment, words, TILE: tl.constexpr, WORDS: tl.constexpr):
    """valid [S, N] uint8, bits [S, N, W] -> keep [S, N] uint8, a segment a program; WORDS is W or more."""
    first = tl.program_id(0).to(tl.int64) * boxes_in_segment
    word = tl.arange(0, WORDS)
    bit_index = tl.arange(0, TILE).to(tl.int64)
    removed = tl.zeros((WORDS,), dtype=tl.int64)
    for tile in range(words):
        i = tile * TILE + tl.arange(0, TILE)
        inside = i < boxes_in_segment
        removed_here = tl.sum(tl.where(word == tile, removed, 0), axis=0)
        alive = tl.load(valid + first + i, mask=inside, other=0).to(tl.int64) & ~(removed_here >> bit_index) & 1
        kept = alive
        if tl.max(alive) > 0:
            row = bits + (first + i) * words
            in_tile = tl.load(row + tile, mask=alive > 0, other=0)
            changed = tl.max(alive)
            while changed > 0:
                before = kept
                fallen = tl.reduce(tl.where(kept > 0, in_tile, 0), 0, _or)
                kept = alive & ~(fallen >> bit_index)
                changed = tl.max(kept ^ before)
            ahead = (kept > 0)[:, None] & ((word > tile) & (word < words))[None, :]
            removed |= tl.reduce(tl.load(row[:, None] + word[None, :], mask=ahead, other=0), 0, _or)
        tl.store(keep + first + i, kept.to(tl.uint8), mask=inside)


def triton_batched_nms(boxes: Tensor, valid: Tensor, iou_threshold: float) -> Tensor:
    """`batched_nms` for CUDA tensors: boxes [S, N, 4] float32, valid [S, N] bool -> keep [S, N] bool."""
    segments, count = valid.shape
    keep = torch.empty(valid.shape, dtype=torch.uint8, device=valid.device)
    if keep.numel():
        boxes, valid = boxes.contiguous(), valid.contiguous().view(torch.uint8)
        words = triton.cdiv(count, TILE)
        bits = torch.empty(segments, count, words, dtype=torch.int64, device=boxes.device)
        with on_device_of(boxes):
            # a product rounded inside a sum would be another IoU than torchvision's on a CPU
            overlap_kernel[(segments, words, words)](
                boxes, valid, bits, count, iou_threshold, TILE=TILE, num_warps=OVERLAP_WARPS, enable_fp_fusion=False
            )
            padded = triton.next_power_of_2(words)
            keep_kernel[(segments,)](
                valid, bits, keep, count, words, TILE=TILE, WORDS=padded, num_warps=max(1, padded // WORDS_OF_WARP)
            )
    return keep.view(torch.bool)

"""Targets of a mask head from packed masks: each object's mask in its RoI, aligned and resized to a square."""

import torch
from torch import Tensor
from torchvision.ops import roi_align

from swin_mmdet.ops.triton_available import why_not_kernels

# float32 maps of whole images that the plain version holds at once
MAPS = 8


def mask_targets(
    bits: Tensor, starts: Tensor, boxes: Tensor, objects: Tensor, rois: Tensor, size: int, image_size: tuple[int, int]
) -> Tensor:
    """Where at least half of each cell of a RoI is covered: [N, size, size] float32 of 0 and 1.

    A cell is the mean of bilinear samples, one per started pixel each way, as RoIAlign takes them. On a GPU with Triton
    nothing synchronises with it.

    Args:
        bits, starts, boxes: masks of G objects as `PackedMasks` holds them: uint8 [n], int64 [G], int32 [G, 4]
        objects: [N] int64, which object each RoI is for
        rois: [N, 4], x1, y1, x2, y2 in the image
        image_size: height and width of the masks; up to a pixel beyond them a mask goes on as at its border
    """
    rois = rois.float()
    if rois.is_cuda and why_not_kernels(rois.device, rois.dtype) is None:
        from swin_mmdet.ops.triton_mask_targets import triton_mask_targets

        return triton_mask_targets(bits, starts, boxes, objects, rois, size, image_size)
    return plain_mask_targets(bits, starts, boxes, objects, rois, size, image_size)


def plain_mask_targets(
    bits: Tensor, starts: Tensor, boxes: Tensor, objects: Tensor, rois: Tensor, size: int, image_size: tuple[int, int]
) -> Tensor:
    """The same by torchvision's RoIAlign on unpacked masks, some objects at a time."""
    # torchvision refuses a RoI that ends before it starts, which covers nothing
    rois = torch.cat([rois[:, :2], rois[:, 2:].maximum(rois[:, :2])], dim=1)
    covered = rois.new_zeros(len(rois), size, size)
    for first in range(0, len(starts), MAPS):
        chosen = slice(first, first + MAPS)
        here = ((objects >= first) & (objects < first + MAPS)).nonzero().flatten()
        if len(here):
            maps = unpack_masks(bits, starts[chosen], boxes[chosen], image_size)[:, None].float()
            numbered = torch.cat([(objects[here] - first)[:, None], rois[here]], dim=1)
            covered[here] = roi_align(maps, numbered, size, sampling_ratio=0, aligned=True).squeeze(1)
    return (covered >= 0.5).float()


def unpack_masks(bits: Tensor, starts: Tensor, boxes: Tensor, image_size: tuple[int, int]) -> Tensor:
    """Whole masks, [G, H, W] uint8 of 0 and 1."""
    masks = bits.new_zeros(len(starts), *image_size)
    bit_index = torch.arange(8, dtype=torch.uint8, device=bits.device)
    for mask, start, (x, y, width, height) in zip(masks, starts.tolist(), boxes.tolist(), strict=True):
        row_bytes = -(-width // 8)
        rows = bits[start : start + height * row_bytes].view(height, row_bytes, 1)
        mask[y : y + height, x : x + width] = (rows >> bit_index & 1).view(height, 8 * row_bytes)[:, :width]
    return masks

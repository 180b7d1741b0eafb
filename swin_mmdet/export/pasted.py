"""Masks of the size of the image, made inside the program."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swin_mmdet.errors import UserError
from swin_mmdet.export.program import Program

# masks of an image's size that are looked at together: their memory
AT_ONCE = 10


class Pasted(nn.Module):
    """A program whose masks are `full_masks` [B, M, H, W], bool in pixels of `images`."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        *others, last = program.names
        if last not in ('masks', 'mask_logits'):
            raise UserError(f'--paste-masks: {type(program.model).__name__} finds no masks')
        self.program = program
        self.names = *others, 'full_masks'
        self.make = pasted if last == 'masks' else grown

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        boxes, scores, labels, masks = self.program(images, sizes)
        height, width = images.shape[2:]
        parts = zip(boxes.split(AT_ONCE, 1), masks.split(AT_ONCE, 1), strict=True)
        return boxes, scores, labels, torch.cat([self.make(box, mask, height, width) for box, mask in parts], 1)


def pasted(boxes: Tensor, masks: Tensor, height: int, width: int) -> Tensor:
    """Where probabilities [B, M, S, S] inside boxes [B, M, 4] reach a half: bool [B, M, height, width]."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    size = masks.shape[-1]
    rows, columns = _shares(y1, y2, height, size), _shares(x1, x2, width, size)
    return (rows @ masks @ columns.mT) >= 0.5


def _shares(low: Tensor, high: Tensor, pixels: int, size: int) -> Tensor:
    """What each of `size` cells between low and high [B, M] gives to each pixel: bilinear, [B, M, pixels, size]."""
    # a box without a side has no pixel
    side = (high - low).clamp(min=1e-6)[..., None]
    at = (torch.arange(pixels, device=low.device) + 0.5 - low[..., None]) / side * size - 0.5
    return (1 - (at[..., None] - torch.arange(size, device=low.device)).abs()).clamp(min=0)


def grown(boxes: Tensor, logits: Tensor, height: int, width: int) -> Tensor:
    """Where logits [B, M, h, w] are positive once they have grown: bool [B, M, height, width]."""
    del boxes
    return F.interpolate(logits, (height, width), mode='bilinear', align_corners=False) > 0

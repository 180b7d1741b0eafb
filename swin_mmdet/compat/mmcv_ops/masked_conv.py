"""Convolution at chosen pixels only: gather their neighbourhoods, multiply outside, scatter the results."""

import torch
import torch.nn.functional as F
from torch import Tensor


def masked_im2col_forward(
    im: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor, col: Tensor, kernel_h: int, kernel_w: int, pad_h: int,
    pad_w: int,
) -> None:
    """Write the kernel_h * kernel_w neighbourhood of M pixels: im [1, C, H, W], indices [M] -> col [C * kh * kw, M]."""
    padded = F.pad(im[0], (pad_w, max(pad_w, kernel_w - 1), pad_h, max(pad_h, kernel_h - 1)))
    rows = torch.arange(kernel_h, device=im.device)[:, None, None] + mask_h_idx
    columns = torch.arange(kernel_w, device=im.device)[:, None] + mask_w_idx
    col.copy_(padded[:, rows, columns].reshape(col.shape))


def masked_col2im_forward(
    col: Tensor, mask_h_idx: Tensor, mask_w_idx: Tensor, im: Tensor, height: int, width: int, channels: int
) -> None:
    """Write M columns to their pixels: col [channels, M] -> im [1, channels, height, width]."""
    im.view(channels, height, width)[:, mask_h_idx, mask_w_idx] = col

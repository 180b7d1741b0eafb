"""Shifted window attention on a feature map: one public function, several backends."""

from swin_mmdet.ops.shifted_window_attention.backends import BACKEND_NAMES, check_backend_name
from swin_mmdet.ops.shifted_window_attention.interface import shifted_window_attention
from swin_mmdet.ops.shifted_window_attention.triton_op import (
    attention_backward,
    attention_forward,
    why_not_attention,
)

__all__ = [
    'BACKEND_NAMES',
    'attention_backward',
    'attention_forward',
    'check_backend_name',
    'shifted_window_attention',
    'why_not_attention',
]

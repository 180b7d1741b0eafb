"""Functions on tensors: no parameters, no modules, no framework."""

from swin_mmdet.ops.shifted_window_attention import shifted_window_attention

__all__ = ['shifted_window_attention']

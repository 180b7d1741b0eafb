"""Parts of mmdet's two-stage detectors that take all images of a batch at once and wait for no GPU."""

from swin_mmdet.detectors.rpn_head import RPNHead

__all__ = ['RPNHead']

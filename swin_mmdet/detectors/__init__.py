"""Parts of mmdet's two-stage detectors that take all images of a batch at once and wait for no GPU."""

import swin_mmdet.compat  # noqa: F401  mmdet can be imported only after it
from swin_mmdet.detectors.data_preprocessor import DetDataPreprocessor

__all__ = ['DetDataPreprocessor']

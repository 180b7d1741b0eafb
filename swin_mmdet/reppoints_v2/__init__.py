"""RepPoints V2 (arXiv 2007.08508): boxes from two points each, checked against maps of corners and of foreground."""

from swin_mmdet.reppoints_v2.head import RepPointsV2Head
from swin_mmdet.reppoints_v2.losses import RPDGIoULoss, SEPFocalLoss
from swin_mmdet.reppoints_v2.mask_head import CondConvMaskHead
from swin_mmdet.reppoints_v2.mask_reppoints_head import MaskRepPointsV2Head

__all__ = ['CondConvMaskHead', 'MaskRepPointsV2Head', 'RPDGIoULoss', 'RepPointsV2Head', 'SEPFocalLoss']

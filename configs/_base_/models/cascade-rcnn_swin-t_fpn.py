"""Cascade R-CNN with Swin-T: the paper's Cascade Mask R-CNN without its masks."""

_base_ = './cascade-mask-rcnn_swin-t_fpn.py'

model = dict(data_preprocessor=dict(pad_mask=False), roi_head=dict(mask_roi_extractor=None, mask_head=None))

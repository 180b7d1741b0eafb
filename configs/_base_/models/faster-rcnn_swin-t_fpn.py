"""Faster R-CNN as in mmdet with Swin-T as its backbone: Mask R-CNN without its masks."""

_base_ = './mask-rcnn_swin-t_fpn.py'

model = dict(
    type='swin_mmdet.FasterRCNN',
    data_preprocessor=dict(pad_mask=False),
    roi_head=dict(mask_roi_extractor=None, mask_head=None),
    train_cfg=dict(rcnn=dict(assigner=dict(match_low_quality=False))),
)

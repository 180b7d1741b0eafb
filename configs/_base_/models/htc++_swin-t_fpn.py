"""HTC++ with Swin-T, without the semantic branch: small enough for one GPU, and for data without semantic maps."""

_base_ = './htc++_swin-b_fpn.py'

model = dict(
    backbone=dict(arch='tiny', init_cfg=dict(checkpoint=_base_.weights.swin_tiny_patch4_window7_224)),
    roi_head=dict(semantic_roi_extractor=None, semantic_head=None),
)

"""RetinaNet as in mmdet with Swin-T as its backbone, of which it reads strides 8 to 32."""

_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', './swin-t.py']

model = dict(
    backbone=dict(_delete_=True, **_base_.swin_t, out_indices=(1, 2, 3)),
    neck=dict(in_channels='from_backbone', start_level=0),
    bbox_head=dict(type='swin_mmdet.RetinaHead'),
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
)

"""Grounding DINO, Swin-T, fine-tuned on COCO for 12 epochs; 16 GPUs x 2 images, checkpointing in the backbone.

mmdet's recipe and its whole pretrained detector (`load_from`) on our backbone; BERT is from transformers' hub.
Published by mmdet: 58.1 box AP on val2017. Not rerun here.
"""

_base_ = 'mmdet::grounding_dino/grounding_dino_swin-t_finetune_16xb2_1x_coco.py'
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    type='swin_mmdet.GroundingDINO',
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    language_model=dict(type='swin_mmdet.BertModel'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='tiny',
        window_size=7,
        out_indices=(1, 2, 3),
        drop_path_rate=0.2,
        with_cp=True,
    ),
    neck=dict(in_channels='from_backbone'),
    bbox_head=dict(type='swin_mmdet.GroundingDINOHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric')

"""The COCO configs against the authors' recipe, every number typed here from its description."""

from functools import lru_cache

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from .conftest import ROOT

T1X = 'mask-rcnn_swin-t-p4-w7_fpn_1x_coco'
T3X = 'mask-rcnn_swin-t-p4-w7_fpn_3x_coco'
CASCADE = 'cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco'
ALL = (T1X, T3X, CASCADE)
SHORT_SIDES = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)


@lru_cache
def load(name: str) -> Config:
    return Config.fromfile(ROOT / f'configs/swin/{name}.py')


@pytest.mark.parametrize('name', ALL)
def test_optimizer(name: str):
    wrapper = load(name).optim_wrapper
    optimizer = wrapper.optimizer
    assert (optimizer.type, optimizer.lr, tuple(optimizer.betas), optimizer.weight_decay) == (
        'AdamW',
        1e-4,
        (0.9, 0.999),
        0.05,
    )
    assert set(optimizer) == {'type', 'lr', 'betas', 'weight_decay'}
    assert {key: value.to_dict() for key, value in wrapper.paramwise_cfg.custom_keys.items()} == {
        'absolute_pos_embed': dict(decay_mult=0.0),
        'relative_position_bias_table': dict(decay_mult=0.0),
        'norm': dict(decay_mult=0.0),
    }
    assert (wrapper.type, wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')
    assert 'clip_grad' not in wrapper
    assert 'accumulative_counts' not in wrapper


@pytest.mark.parametrize(
    ('name', 'epochs', 'milestones'), [(T1X, 12, [8, 11]), (T3X, 36, [27, 33]), (CASCADE, 12, [8, 11])]
)
def test_schedule(name: str, epochs: int, milestones: list[int]):
    cfg = load(name)
    warm_up, steps = cfg.param_scheduler
    assert (cfg.train_cfg.type, cfg.train_cfg.max_epochs) == ('EpochBasedTrainLoop', epochs)
    assert (warm_up.type, warm_up.start_factor, warm_up.begin, warm_up.end, warm_up.by_epoch) == (
        'LinearLR',
        0.001,
        0,
        500,
        False,
    )
    assert (steps.type, steps.milestones, steps.gamma, steps.by_epoch, steps.end) == (
        'MultiStepLR',
        milestones,
        0.1,
        True,
        epochs,
    )


@pytest.mark.parametrize('name', ALL)
def test_batch_is_16_on_8_gpus(name: str):
    cfg = load(name)
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.auto_scale_lr.base_batch_size == 16


@pytest.mark.parametrize(('name', 'drop_path_rate'), [(T1X, 0.1), (T3X, 0.2), (CASCADE, 0.0)])
def test_backbone(name: str, drop_path_rate: float):
    from swin_mmdet.models import SwinTransformer

    cfg = load(name)
    settings = cfg.model.backbone.to_dict()
    init_cfg = settings.pop('init_cfg')
    assert settings.pop('type') == 'swin_mmdet.SwinTransformer'
    assert settings['drop_path_rate'] == drop_path_rate
    backbone = SwinTransformer(**settings)
    assert backbone.variant.embed_dims == 96
    assert tuple(backbone.variant.depths) == (2, 2, 6, 2)
    assert tuple(backbone.variant.num_heads) == (3, 6, 12, 24)
    assert backbone.window_sizes == (7, 7, 7, 7)
    assert backbone.out_indices == (0, 1, 2, 3)
    assert backbone.frozen_stages == -1
    assert backbone.absolute_pos_embed is None
    assert cfg.model.neck.in_channels == [96, 192, 384, 768]
    assert init_cfg == dict(
        type='Pretrained',
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
        'swin_tiny_patch4_window7_224.pth',
    )


@pytest.mark.parametrize('name', ALL)
def test_augmentation_flips_then_resizes_or_crops(name: str):
    pipeline = load(name).train_dataloader.dataset.pipeline
    assert [step.type for step in pipeline] == [
        'LoadImageFromFile',
        'swin_mmdet.LoadAnnotations',
        'swin_mmdet.RandomFlip',
        'RandomChoice',
        'swin_mmdet.PackDetInputs',
    ]
    assert pipeline[1].with_mask
    assert pipeline[2].prob == 0.5
    (resize,), (first, crop, second) = pipeline[3].transforms
    for step, short_sides in ((resize, SHORT_SIDES), (first, (400, 500, 600)), (second, SHORT_SIDES)):
        assert step.type == 'RandomChoiceResize'
        assert step.keep_ratio
        assert list(step.scales) == [(short, 1333) for short in short_sides]
    assert (crop.type, crop.crop_type, tuple(crop.crop_size), crop.allow_negative_crop) == (
        'RandomCrop',
        'absolute_range',
        (384, 600),
        True,
    )


@pytest.mark.parametrize('name', ALL)
def test_normalisation_and_padding(name: str):
    settings = load(name).model.data_preprocessor
    assert settings.mean == [123.675, 116.28, 103.53]
    assert settings.std == [58.395, 57.12, 57.375]
    assert (settings.bgr_to_rgb, settings.pad_mask, settings.pad_size_divisor) == (True, True, 32)


@pytest.mark.parametrize('name', ALL)
def test_test_settings(name: str):
    cfg = load(name)
    resize = cfg.test_dataloader.dataset.pipeline[1]
    assert (resize.type, tuple(resize.scale), resize.keep_ratio) == ('Resize', (1333, 800), True)
    rcnn = cfg.model.test_cfg.rcnn
    assert (rcnn.score_thr, rcnn.nms.type, rcnn.nms.iou_threshold, rcnn.max_per_img) == (0.05, 'nms', 0.5, 100)
    rpn = cfg.model.test_cfg.rpn
    assert (rpn.nms_pre, rpn.max_per_img, rpn.nms.iou_threshold) == (1000, 1000, 0.7)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert evaluator.type == 'swin_mmdet.CocoMetric'
        assert evaluator.metric == ['bbox', 'segm']


@pytest.mark.parametrize('name', ALL)
def test_anchors_and_rois(name: str):
    model = load(name).model
    anchors = model.rpn_head.anchor_generator
    assert (anchors.scales, anchors.ratios, anchors.strides) == ([8], [0.5, 1.0, 2.0], [4, 8, 16, 32, 64])
    for extractor, size in ((model.roi_head.bbox_roi_extractor, 7), (model.roi_head.mask_roi_extractor, 14)):
        assert (extractor.roi_layer.type, extractor.roi_layer.output_size) == ('RoIAlign', size)
        assert extractor.roi_layer.sampling_ratio == 0
        assert extractor.featmap_strides == [4, 8, 16, 32]


@pytest.mark.parametrize('name', [T1X, T3X])
def test_mask_rcnn_heads(name: str):
    model = load(name).model
    assert model.type == 'MaskRCNN'
    assert model.rpn_head.loss_bbox.type == 'L1Loss'
    assert model.train_cfg.rpn.allowed_border == -1
    assert model.train_cfg.rpn_proposal.max_per_img == 1000
    head = model.roi_head.bbox_head
    assert (head.type, head.loss_bbox.type, head.num_classes) == ('Shared2FCBBoxHead', 'L1Loss', 80)


def test_cascade_heads():
    model = load(CASCADE).model
    assert model.type == 'CascadeRCNN'
    assert (model.rpn_head.loss_bbox.type, model.rpn_head.loss_bbox.beta) == ('SmoothL1Loss', 1 / 9)
    assert model.train_cfg.rpn.allowed_border == 0
    assert model.train_cfg.rpn_proposal.nms_pre == 2000
    assert model.train_cfg.rpn_proposal.max_per_img == 2000
    assert model.roi_head.stage_loss_weights == [1, 0.5, 0.25]
    assert [stage.assigner.pos_iou_thr for stage in model.train_cfg.rcnn] == [0.5, 0.6, 0.7]
    heads = model.roi_head.bbox_head
    assert [head.bbox_coder.target_stds for head in heads] == [
        [0.1, 0.1, 0.2, 0.2],
        [0.05, 0.05, 0.1, 0.1],
        [0.033, 0.033, 0.067, 0.067],
    ]
    for head in heads:
        assert (head.type, head.num_shared_convs, head.num_shared_fcs) == ('ConvFCBBoxHead', 4, 1)
        assert (head.conv_out_channels, head.fc_out_channels, head.num_classes) == (256, 1024, 80)
        assert head.norm_cfg.type == 'SyncBN'
        assert (head.reg_class_agnostic, head.reg_decoded_bbox) == (False, True)
        assert (head.loss_bbox.type, head.loss_bbox.loss_weight) == ('GIoULoss', 10.0)
        assert (head.loss_cls.type, head.loss_cls.use_sigmoid, head.loss_cls.loss_weight) == (
            'CrossEntropyLoss',
            False,
            1.0,
        )


@pytest.mark.parametrize('name', ALL)
def test_guards_against_lost_and_spoiled_runs(name: str):
    cfg = load(name)
    checkpoint = cfg.default_hooks.checkpoint
    assert (checkpoint.save_best, checkpoint.max_keep_ckpts, checkpoint.interval) == ('coco/segm_mAP', 3, 1)
    assert {hook.type for hook in cfg.custom_hooks} == {'NumClassCheckHook', 'CheckInvalidLossHook'}
    assert 'swin_mmdet.compat' in cfg.custom_imports.imports


@pytest.mark.parametrize(
    ('part', 'name'),
    [('rpn_head', 'RPNHead'), ('roi_head', 'StandardRoIHead'), ('data_preprocessor', 'DetDataPreprocessor')],
)
def test_an_option_takes_mmdets_part_for_ours(part: str, name: str):
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules

    register_all_modules()
    cfg = load(T1X).copy()
    cfg.merge_from_dict({f'model.{part}.type': name, 'model.backbone.init_cfg': None})
    model = MODELS.build(cfg.model)
    parts = {key: type(getattr(model, key)) for key in ('backbone', 'rpn_head', 'roi_head', 'data_preprocessor')}
    theirs = [key for key, cls in parts.items() if not cls.__module__.startswith('swin_mmdet.')]
    assert theirs == [part]
    assert parts[part].__name__ == name

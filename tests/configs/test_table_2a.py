"""ATSS, Sparse R-CNN and RepPoints V2 with Swin-T against the paper's table 2a, the authors' files and the frameworks'.

Every number is typed here: from arXiv 2103.14030 (table 2a, appendix A2.2), the authors' configs of RepPoints V2, and
the papers and mmdet's configs of ATSS and Sparse R-CNN. Published parameters and GFLOPs are rounded to whole millions
and billions; ours must be within 1 %.
"""

from copy import deepcopy
from functools import lru_cache

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.hub import get_config
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from swin_mmdet.config import nodes

from .conftest import ROOT, with_channels

ATSS = 'atss/atss_swin-t-p4-w7_fpn_3x_coco'
SPARSE = 'sparse_rcnn/sparse-rcnn_swin-t-p4-w7_fpn_300-proposals_3x_coco'
BOXES = 'reppoints_v2/reppoints-v2_swin-t-p4-w7_bifpn_3x_coco'
MASKS = 'reppoints_v2/mask-reppoints-v2_swin-t-p4-w7_bifpn_3x_coco'
ALL = (ATSS, SPARSE, BOXES, MASKS)
MMDETS = {
    ATSS: 'atss/atss_r50_fpn_1x_coco.py',
    SPARSE: 'sparse_rcnn/sparse-rcnn_r50_fpn_300-proposals_crop-ms-480-800-3x_coco.py',
}
FROM_480_TO_800 = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
FROM_480_TO_960 = (*FROM_480_TO_800, 832, 864, 896, 928, 960)


@lru_cache
def load(name: str) -> Config:
    return with_channels(Config.fromfile(ROOT / f'configs/{name}.py'))


def empty_model(name: str) -> nn.Module:
    """Without memory for its parameters."""
    register_all_modules()
    # a detector writes into its config
    model = deepcopy(load(name).model)
    model.backbone.init_cfg = None
    with torch.device('meta'):
        return MODELS.build(model).eval()


@pytest.mark.parametrize(('name', 'millions'), [(ATSS, 36), (SPARSE, 110), (BOXES, 45), (MASKS, 47)])
def test_parameters(name: str, millions: int):
    count = sum(parameter.numel() for parameter in empty_model(name).parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.01)


def swin_t_gflops(height: int, width: int) -> float:
    """Multiply-adds as the paper has them: linear layers and both products of attention, on maps padded for windows."""
    total = height * width / 16 * 48 * 96
    for stage, (depth, channels) in enumerate(zip((2, 2, 6, 2), (96, 192, 384, 768))):
        rows, columns = height >> (2 + stage), width >> (2 + stage)
        padded = -(-rows // 7) * -(-columns // 7) * 49
        attention = 4 * channels**2 * padded + 2 * 49 * channels * padded
        mlp = 8 * channels**2 * rows * columns
        total += depth * (attention + mlp)
        if stage < 3:
            total += rows * columns / 4 * 8 * channels**2
    return total / 1e9


def deform_conv_flops(_: torch.Size, weight: torch.Size, *__, out_shape: torch.Size, **___) -> int:
    return 2 * weight[1:].numel() * out_shape.numel()


@pytest.mark.parametrize(('name', 'published'), [(ATSS, 215), (SPARSE, 172), (BOXES, 283), (MASKS, 292)])
def test_flops(name: str, published: int):
    """Of `forward` alone, so the published number of masks has the layer that controls them, and not their branch."""
    model = empty_model(name)
    strides = (4, 8, 16, 32) if name == SPARSE else (8, 16, 32)
    maps = [torch.empty(1, 24 * stride, 800 // stride, 1280 // stride, device='meta') for stride in strides]
    counted = {torch.ops.torchvision.deform_conv2d: deform_conv_flops}
    with FlopCounterMode(display=False, custom_mapping=counted) as counter:
        maps = model.neck(maps)
        if name == SPARSE:
            rois, proposals = torch.empty(300, 256, 7, 7, device='meta'), torch.empty(1, 300, 256, device='meta')
            for head in model.roi_head.bbox_head:
                head(rois, proposals)
        else:
            model.bbox_head(maps)
    # the counter that the paper's numbers of heads are from sees modules, so no product of two results of layers
    flops = {op: count for op, count in counter.get_flop_counts()['Global'].items() if op != torch.ops.aten.bmm}
    gflops = swin_t_gflops(800, 1280) + sum(flops.values()) / 2e9
    assert gflops == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize('name', ALL)
def test_optimizer(name: str):
    wrapper = load(name).optim_wrapper
    assert wrapper.optimizer.to_dict() == dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05)
    assert {key: value.to_dict() for key, value in wrapper.paramwise_cfg.custom_keys.items()} == {
        'absolute_pos_embed': dict(decay_mult=0.0),
        'relative_position_bias_table': dict(decay_mult=0.0),
        'norm': dict(decay_mult=0.0),
    }
    assert (wrapper.type, wrapper.get('loss_scale', 'dynamic')) == ('AmpOptimWrapper', 'dynamic')
    # only Sparse R-CNN's own recipe clips
    assert wrapper.get('clip_grad') == (dict(max_norm=1, norm_type=2) if name == SPARSE else None)


@pytest.mark.parametrize('name', ALL)
def test_schedule_and_batch(name: str):
    cfg = load(name)
    warm_up, steps = cfg.param_scheduler
    assert cfg.train_cfg.max_epochs == 36
    assert (warm_up.type, warm_up.start_factor, warm_up.end, warm_up.by_epoch) == ('LinearLR', 0.001, 500, False)
    assert (steps.type, steps.milestones, steps.gamma, steps.end) == ('MultiStepLR', [27, 33], 0.1, 36)
    assert (cfg.train_dataloader.batch_size, cfg.auto_scale_lr.base_batch_size) == (2, 16)


@pytest.mark.parametrize('name', ALL)
def test_backbone(name: str):
    cfg = load(name)
    settings = cfg.model.backbone.to_dict()
    checkpoint = settings.pop('init_cfg')['checkpoint']
    assert checkpoint.endswith('/v1.0.0/swin_tiny_patch4_window7_224.pth')
    stages = (0, 1, 2, 3) if name == SPARSE else (1, 2, 3)
    assert tuple(settings.pop('out_indices', (0, 1, 2, 3))) == stages
    assert settings == dict(type='swin_mmdet.SwinTransformer', arch='tiny', window_size=7, drop_path_rate=0.2)
    assert cfg.model.neck.in_channels == [96 * 2**stage for stage in stages]
    assert cfg.model.neck.out_channels == 256


@pytest.mark.parametrize('name', [ATSS, SPARSE])
def test_the_papers_augmentation(name: str):
    steps = load(name).train_dataloader.dataset.pipeline
    assert [step.type for step in steps[1:]] == [
        'swin_mmdet.LoadAnnotations', 'swin_mmdet.RandomFlip', 'RandomChoice', 'swin_mmdet.PackDetInputs',
    ]
    assert steps[1].to_dict() == dict(type='swin_mmdet.LoadAnnotations', with_bbox=True)
    assert steps[2].prob == 0.5
    (resize,), (first, crop, second) = steps[3].transforms
    for step, short_sides in ((resize, FROM_480_TO_800), (first, (400, 500, 600)), (second, FROM_480_TO_800)):
        assert (step.type, step.keep_ratio) == ('RandomChoiceResize', True)
        assert list(step.scales) == [(short, 1333) for short in short_sides]
    assert (crop.crop_type, tuple(crop.crop_size), crop.allow_negative_crop) == ('absolute_range', (384, 600), True)


def test_augmentation_of_reppoints_v2():
    _, load_boxes, resize, flip, _ = load(BOXES).train_dataloader.dataset.pipeline
    assert load_boxes.to_dict() == dict(type='swin_mmdet.LoadAnnotations', with_bbox=True)
    assert (resize.type, resize.keep_ratio) == ('RandomChoiceResize', True)
    assert list(resize.scales) == [(short, 1333) for short in FROM_480_TO_960]
    assert (flip.type, flip.prob) == ('swin_mmdet.RandomFlip', 0.5)


def test_augmentation_of_mask_reppoints_v2():
    _, load_masks, resize, flip, _ = load(MASKS).train_dataloader.dataset.pipeline
    assert (load_masks.with_bbox, load_masks.with_mask) == (True, True)
    assert resize.to_dict() == dict(type='RandomResize', scale=[(1333, 480), (1333, 960)], keep_ratio=True)
    assert (flip.type, flip.prob) == ('swin_mmdet.RandomFlip', 0.5)


@pytest.mark.parametrize('name', ALL)
def test_test_settings(name: str):
    cfg = load(name)
    resize = cfg.test_dataloader.dataset.pipeline[1]
    assert (resize.type, tuple(resize.scale), resize.keep_ratio) == ('Resize', (1333, 800), True)
    preprocessor = cfg.model.data_preprocessor
    assert (preprocessor.mean, preprocessor.std) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    assert (preprocessor.bgr_to_rgb, preprocessor.pad_size_divisor) == (True, 32)
    if name == SPARSE:
        assert cfg.model.test_cfg.rcnn.to_dict() == dict(max_per_img=300)
    else:
        test = cfg.model.test_cfg
        assert (test.nms_pre, test.score_thr, test.max_per_img) == (1000, 0.05, 100)
        assert test.nms.to_dict() == dict(type='nms', iou_threshold=0.6)
    metric = ['bbox', 'segm'] if name == MASKS else 'bbox'
    best = 'coco/segm_mAP' if name == MASKS else 'coco/bbox_mAP'
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert (evaluator.type, evaluator.metric) == ('swin_mmdet.CocoMetric', metric)
    assert cfg.default_hooks.checkpoint.save_best == best


@pytest.mark.parametrize('name', [ATSS, SPARSE])
def test_heads_are_mmdets(name: str):
    """Settings that mmdet's config of the framework has, except for what the backbone changes."""
    theirs = get_config(f'mmdet::{MMDETS[name]}').model.to_dict()
    ours = deepcopy(load(name)).model.to_dict()
    for model in (theirs, ours):
        del model['backbone'], model['data_preprocessor'], model['neck']['in_channels']
        # of a backbone that has three maps, the first is used
        model['neck'].pop('start_level', None)
        for node in nodes(model):
            if 'type' in node:
                node['type'] = node['type'].removeprefix('swin_mmdet.')
    assert ours == theirs


@pytest.mark.parametrize('name', [BOXES, MASKS])
def test_heads_of_reppoints_v2(name: str):
    model = deepcopy(load(name).model).to_dict()
    norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)
    assert model['neck'] == dict(
        type='swin_mmdet.BiFPN', in_channels=[192, 384, 768], out_channels=256, num_outs=5, num_repeat=2,
        norm_cfg=norm_cfg,
    )
    head = model['bbox_head']
    mask_head = head.pop('mask_head', None)
    expected = dict(
        type='swin_mmdet.RepPointsV2Head', num_classes=80, in_channels=256, feat_channels=256, stacked_convs=3,
        shared_stacked_convs=1, point_feat_channels=256, corner_dim=64, num_points=9, gradient_mul=0.1,
        point_strides=[8, 16, 32, 64, 128], point_base_scale=4, norm_cfg=norm_cfg,
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox_init=dict(type='swin_mmdet.RPDGIoULoss', loss_weight=1.0),
        loss_bbox_refine=dict(type='swin_mmdet.RPDGIoULoss', loss_weight=2.0),
        loss_heatmap=dict(type='GaussianFocalLoss', alpha=2.0, gamma=4.0, loss_weight=0.25),
        loss_offset=dict(type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0),
        loss_sem=dict(type='swin_mmdet.SEPFocalLoss', gamma=2.0, alpha=0.25, loss_weight=0.1),
    )
    if name == MASKS:
        expected |= dict(
            type='swin_mmdet.MaskRepPointsV2Head', mask_loss_weight=[0.0, 0.6, 1.0], max_proposals=500,
            loss_mask=dict(type='DiceLoss', eps=5e-6),
        )
        assert mask_head == dict(
            type='swin_mmdet.CondConvMaskHead', in_channels=256, num_levels=3, channels=128, num_convs=4,
            out_channels=8, stride=8, sizes_of_interest=[64, 128, 256, 512, 1024],
            norm_cfg=dict(type='BN', requires_grad=True),
        )
        assert model['data_preprocessor']['pad_mask']
        assert model['test_cfg']['mask_thr'] == 0.5
    assert head == expected
    assert model['train_cfg'] == dict(topk=9, gaussian_iou=0.7)

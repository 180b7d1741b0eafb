"""The COCO configs of configs/swin against their recipes, every number typed here from its description.

The authors' recipes and ViTDet's: the published configs; mmdet's: the configs that it installs.
"""

import copy
import inspect
from dataclasses import dataclass
from pathlib import Path

import mmdet
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper

from swin_mmdet.config import nodes

from .conftest import ROOT, read_config, with_channels

RELEASES = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
# channels of the first stage, blocks, heads, weights
VARIANTS = {
    't': (96, (2, 2, 6, 2), (3, 6, 12, 24), 'swin_tiny_patch4_window7_224'),
    's': (96, (2, 2, 18, 2), (3, 6, 12, 24), 'swin_small_patch4_window7_224'),
    'b': (128, (2, 2, 18, 2), (4, 8, 16, 32), 'swin_base_patch4_window7_224'),
    'l': (192, (2, 2, 18, 2), (6, 12, 24, 48), 'swin_large_patch4_window7_224'),
}
SHORT_SIDES = (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)


@dataclass(frozen=True)
class Recipe:
    """A config of the authors' recipe; boxes only: the same recipe without masks."""

    family: str
    variant: str
    schedule: str
    drop_path: float

    def __str__(self) -> str:
        return f'{self.family}_swin-{self.variant}-p4-w7_fpn_{self.schedule}_coco'

    @property
    def masks(self) -> bool:
        return 'mask' in self.family


RECIPES = (
    Recipe('mask-rcnn', 't', '1x', 0.1),
    Recipe('mask-rcnn', 't', '3x', 0.2),
    Recipe('mask-rcnn', 's', '3x', 0.2),
    Recipe('mask-rcnn', 'b', '3x', 0.3),
    Recipe('cascade-mask-rcnn', 't', '1x', 0.0),
    Recipe('cascade-mask-rcnn', 't', '3x', 0.2),
    Recipe('cascade-mask-rcnn', 's', '3x', 0.2),
    Recipe('cascade-mask-rcnn', 'b', '3x', 0.3),
    Recipe('faster-rcnn', 't', '1x', 0.1),
    Recipe('faster-rcnn', 't', '3x', 0.2),
    Recipe('faster-rcnn', 's', '3x', 0.2),
    Recipe('faster-rcnn', 'b', '3x', 0.3),
    Recipe('cascade-rcnn', 't', '1x', 0.0),
    Recipe('cascade-rcnn', 't', '3x', 0.2),
    Recipe('cascade-rcnn', 's', '3x', 0.2),
    Recipe('cascade-rcnn', 'b', '3x', 0.3),
    Recipe('retinanet', 't', '1x', 0.1),
)
VITDET = {size: f'cascade-mask-rcnn_swin-{size}-p4-w7-in22k_fpn_lsj-50e_coco' for size in 'bl'}
# mmdet's names, with ours between backbone and schedule
THEIRS = {
    'mask-rcnn_swin-t-p4-w7_fpn_1x_coco': 'mask-rcnn_swin-t-p4-w7_fpn_mmdet-1x_coco',
    'mask-rcnn_swin-t-p4-w7_fpn_ms-crop-3x_coco': 'mask-rcnn_swin-t-p4-w7_fpn_mmdet-ms-crop-3x_coco',
    'mask-rcnn_swin-t-p4-w7_fpn_amp-ms-crop-3x_coco': 'mask-rcnn_swin-t-p4-w7_fpn_mmdet-amp-ms-crop-3x_coco',
    'mask-rcnn_swin-s-p4-w7_fpn_amp-ms-crop-3x_coco': 'mask-rcnn_swin-s-p4-w7_fpn_mmdet-amp-ms-crop-3x_coco',
}
ALL = (*map(str, RECIPES), *VITDET.values(), *THEIRS.values())
of_all = pytest.mark.parametrize('recipe', RECIPES, ids=str)
of_cascades = pytest.mark.parametrize('recipe', [one for one in RECIPES if 'cascade' in one.family], ids=str)
of_others = pytest.mark.parametrize('recipe', [one for one in RECIPES if one.family[:4] in ('mask', 'fast')], ids=str)


def load(recipe: Recipe | str) -> Config:
    return with_channels(read_config(ROOT / f'configs/swin/{recipe}.py'))


def test_each_config_has_a_recipe():
    assert sorted(ALL) == sorted(path.stem for path in (ROOT / 'configs/swin').glob('*.py'))


@of_all
def test_optimizer(recipe: Recipe):
    wrapper = load(recipe).optim_wrapper
    assert wrapper.type == 'AmpOptimWrapper'
    assert wrapper.optimizer.to_dict() == dict(type='AdamW', lr=1e-4, betas=(0.9, 0.999), weight_decay=0.05)
    assert wrapper.paramwise_cfg.to_dict() == dict(
        custom_keys={
            'absolute_pos_embed': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
        }
    )
    # no clipping, no accumulation; the scale of the loss is dynamic
    assert set(wrapper) - {'_scope_'} == {'type', 'constructor', 'optimizer', 'paramwise_cfg'}
    assert inspect.signature(AmpOptimWrapper).parameters['loss_scale'].default == 'dynamic'


@of_all
def test_schedule_and_batch(recipe: Recipe):
    cfg = load(recipe)
    epochs, milestones = {'1x': (12, [8, 11]), '3x': (36, [27, 33])}[recipe.schedule]
    assert (cfg.train_cfg.type, cfg.train_cfg.max_epochs) == ('EpochBasedTrainLoop', epochs)
    assert without_scope(cfg.param_scheduler) == [
        dict(type='LinearLR', start_factor=0.001, begin=0, end=500, by_epoch=False),
        dict(type='MultiStepLR', milestones=milestones, gamma=0.1, begin=0, end=epochs, by_epoch=True),
    ]
    assert (cfg.train_dataloader.batch_size, cfg.auto_scale_lr.base_batch_size) == (2, 16)


@pytest.mark.parametrize(
    ('name', 'variant', 'drop_path', 'suffix'),
    [(str(one), one.variant, one.drop_path, '') for one in RECIPES]
    + [(name, size, 0.4, '_22k') for size, name in VITDET.items()]
    + [(name, name[len('mask-rcnn_swin-')], 0.2, '') for name in THEIRS.values()],
)
def test_backbone(name: str, variant: str, drop_path: float, suffix: str):
    from swin_mmdet.models import SwinTransformer

    cfg = load(name)
    settings = cfg.model.backbone.to_dict()
    channels, depths, heads, weights = VARIANTS[variant]
    assert settings.pop('type') == 'swin_mmdet.SwinTransformer'
    assert settings.pop('init_cfg') == dict(type='Pretrained', checkpoint=f'{RELEASES}{weights}{suffix}.pth')
    assert settings['drop_path_rate'] == drop_path
    with torch.device('meta'):
        backbone = SwinTransformer(**settings)
    found = backbone.variant
    assert (found.embed_dims, tuple(found.depths), tuple(found.num_heads)) == (channels, depths, heads)
    assert backbone.window_sizes == (7, 7, 7, 7)
    assert backbone.out_indices == ((1, 2, 3) if 'retinanet' in name else (0, 1, 2, 3))
    assert backbone.frozen_stages == -1
    assert backbone.absolute_pos_embed is None
    assert cfg.model.neck.in_channels == [channels * 2**stage for stage in backbone.out_indices]


@pytest.mark.parametrize('name', ALL)
def test_the_docstring_counts_the_parameters(name: str):
    text = (ROOT / f'configs/swin/{name}.py').read_text()
    model = copy.deepcopy(load(name)).model
    for node in nodes(model):
        node.pop('init_cfg', None)
        if node.get('type') == 'SyncBN':  # outside of a group of processes
            node.type = 'BN'
    register_all_modules()
    with torch.device('meta'):
        count = sum(parameter.numel() for parameter in MODELS.build(model).parameters())
    assert f' {count / 1e6:.0f}M parameters' in text


@of_all
def test_augmentation_flips_then_resizes_or_crops(recipe: Recipe):
    pipeline = load(recipe).train_dataloader.dataset.pipeline
    assert [step.type for step in pipeline] == [
        'LoadImageFromFile',
        'swin_mmdet.LoadAnnotations',
        'swin_mmdet.RandomFlip',
        'RandomChoice',
        'swin_mmdet.PackDetInputs',
    ]
    assert pipeline[1].with_bbox
    assert pipeline[1].get('with_mask', False) == recipe.masks
    assert pipeline[2].prob == 0.5
    (resize,), (first, crop, second) = pipeline[3].transforms
    for step, short_sides in ((resize, SHORT_SIDES), (first, (400, 500, 600)), (second, SHORT_SIDES)):
        assert step.type == 'RandomChoiceResize'
        assert step.keep_ratio
        assert list(step.scales) == [(short, 1333) for short in short_sides]
    assert crop.to_dict() == dict(
        type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True
    )


@of_all
def test_images_and_test_settings(recipe: Recipe):
    cfg = load(recipe)
    images = cfg.model.data_preprocessor
    assert (images.mean, images.std) == ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    assert (images.bgr_to_rgb, images.get('pad_mask', False), images.pad_size_divisor) == (True, recipe.masks, 32)
    _, resize, annotations, _ = cfg.test_dataloader.dataset.pipeline
    assert resize.to_dict() == dict(type='Resize', scale=(1333, 800), keep_ratio=True)
    assert annotations.get('with_mask', False) == recipe.masks
    found = cfg.model.test_cfg.get('rcnn', cfg.model.test_cfg)
    assert (found.score_thr, found.nms.type, found.nms.iou_threshold, found.max_per_img) == (0.05, 'nms', 0.5, 100)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        assert evaluator.type == 'swin_mmdet.CocoMetric'
        assert evaluator.metric == (['bbox', 'segm'] if recipe.masks else 'bbox')
    assert (cfg.model.type == 'RetinaNet') == ('rpn_head' not in cfg.model)
    if 'roi_head' in cfg.model:
        roi_head = cfg.model.roi_head
        masks = [roi_head.mask_head, roi_head.mask_roi_extractor]
        assert [part is not None for part in masks] == [recipe.masks, recipe.masks]


@of_cascades
def test_heads_of_cascades(recipe: Recipe):
    model = load(recipe).model
    assert model.type == 'swin_mmdet.CascadeRCNN'
    check_anchors_and_regions(model)
    assert (model.rpn_head.loss_bbox.type, model.rpn_head.loss_bbox.beta) == ('SmoothL1Loss', 1 / 9)
    assert model.train_cfg.rpn.allowed_border == 0
    assert (model.train_cfg.rpn_proposal.nms_pre, model.train_cfg.rpn_proposal.max_per_img) == (2000, 2000)
    assert model.roi_head.stage_loss_weights == [1, 0.5, 0.25]
    check_stages(model)
    for head in model.roi_head.bbox_head:
        assert head.norm_cfg.type == 'SyncBN'
        assert (head.reg_class_agnostic, head.reg_decoded_bbox) == (False, True)
        assert (head.loss_bbox.type, head.loss_bbox.loss_weight) == ('GIoULoss', 10.0)


@of_others
def test_heads_of_mask_and_faster_rcnn(recipe: Recipe):
    model = load(recipe).model
    assert model.type == {'mask-rcnn': 'swin_mmdet.MaskRCNN', 'faster-rcnn': 'swin_mmdet.FasterRCNN'}[recipe.family]
    check_anchors_and_regions(model)
    assert model.rpn_head.loss_bbox.type == 'L1Loss'
    assert model.train_cfg.rpn.allowed_border == -1
    assert model.train_cfg.rpn_proposal.max_per_img == 1000
    head = model.roi_head.bbox_head
    assert (head.type, head.loss_bbox.type, head.num_classes) == ('Shared2FCBBoxHead', 'L1Loss', 80)


def check_anchors_and_regions(model: Config) -> None:
    rpn, anchors = model.test_cfg.rpn, model.rpn_head.anchor_generator
    assert (rpn.nms_pre, rpn.max_per_img, rpn.nms.iou_threshold) == (1000, 1000, 0.7)
    assert (anchors.scales, anchors.ratios, anchors.strides) == ([8], [0.5, 1.0, 2.0], [4, 8, 16, 32, 64])
    for extractor, size in ((model.roi_head.bbox_roi_extractor, 7), (model.roi_head.mask_roi_extractor, 14)):
        if extractor is not None:
            assert extractor.roi_layer.to_dict() == dict(type='RoIAlign', output_size=size, sampling_ratio=0)
            assert extractor.featmap_strides == [4, 8, 16, 32]


def check_stages(model: Config) -> None:
    """What all of our cascades have in common: 4 convolutions, 1 fc, and the three stages."""
    assert [stage.assigner.pos_iou_thr for stage in model.train_cfg.rcnn] == [0.5, 0.6, 0.7]
    assert [head.bbox_coder.target_stds for head in model.roi_head.bbox_head] == [
        [0.1, 0.1, 0.2, 0.2],
        [0.05, 0.05, 0.1, 0.1],
        [0.033, 0.033, 0.067, 0.067],
    ]
    for head in model.roi_head.bbox_head:
        assert (head.type, head.num_shared_convs, head.num_shared_fcs) == ('ConvFCBBoxHead', 4, 1)
        assert (head.conv_out_channels, head.fc_out_channels, head.num_classes) == (256, 1024, 80)
        assert head.loss_cls.to_dict() == dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)


@pytest.mark.parametrize('name', VITDET.values())
def test_vitdets_recipe(name: str):
    cfg = load(name)
    model, wrapper = cfg.model, cfg.optim_wrapper
    norm = dict(type='swin_mmdet.LayerNorm2d', eps=1e-6)
    assert wrapper.type == 'AmpOptimWrapper'
    assert wrapper.optimizer.to_dict() == dict(type='AdamW', lr=4e-5, betas=(0.9, 0.999), weight_decay=0.05)
    assert wrapper.paramwise_cfg.norm_decay_mult == 0.0
    assert 'clip_grad' not in wrapper
    # 100 epochs are 184375 iterations of 64 images with 250 of warm-up; all of it is halved
    assert (cfg.train_cfg.type, cfg.train_cfg.max_iters) == ('IterBasedTrainLoop', 184375 // 2)
    warm_up, steps = cfg.param_scheduler
    assert (warm_up.type, warm_up.start_factor, warm_up.end, warm_up.by_epoch) == ('LinearLR', 0.001, 125, False)
    assert (steps.type, steps.milestones, steps.gamma, steps.by_epoch) == ('MultiStepLR', [81944, 88773], 0.1, False)
    assert (cfg.train_dataloader.batch_size * 8, cfg.auto_scale_lr.base_batch_size) == (64, 64)
    _, _, flip, resize, crop, kept, _ = cfg.train_dataloader.dataset.pipeline
    assert (flip.type, flip.prob) == ('swin_mmdet.RandomFlip', 0.5)
    assert resize.to_dict() == dict(type='RandomResize', scale=(1024, 1024), ratio_range=(0.1, 2.0), keep_ratio=True)
    assert (crop.type, crop.crop_type, crop.crop_size, crop.recompute_bbox) == (
        'RandomCrop',
        'absolute',
        (1024, 1024),
        True,
    )
    assert kept.to_dict() == dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-5, 1e-5), keep_empty=False)
    assert cfg.test_dataloader.dataset.pipeline[1].scale == (1024, 1024)
    assert model.data_preprocessor.pad_size_divisor == 1024
    check_anchors_and_regions(model)
    check_stages(model)
    assert model.neck.norm_cfg == norm
    assert (model.rpn_head.num_convs, model.rpn_head.loss_bbox.type) == (2, 'L1Loss')
    assert model.train_cfg.rpn.allowed_border == -1
    assert (model.train_cfg.rpn_proposal.nms_pre, model.train_cfg.rpn_proposal.max_per_img) == (2000, 1000)
    assert model.roi_head.stage_loss_weights == [1 / 3] * 3
    for head in model.roi_head.bbox_head:
        assert head.norm_cfg == norm
        assert (head.reg_class_agnostic, head.reg_decoded_bbox) == (True, False)
        assert head.loss_bbox.to_dict() == dict(type='L1Loss', loss_weight=1.0)
    assert (model.roi_head.mask_head.num_convs, model.roi_head.mask_head.norm_cfg) == (4, norm)


def installed(name: str) -> Config:
    return read_config(Path(mmdet.__file__).parent / '.mim/configs' / f'{name}.py')


@pytest.mark.parametrize(('theirs', 'ours'), THEIRS.items(), ids=THEIRS)
def test_mmdets_recipe_is_the_one_that_it_installs(theirs: str, ours: str):
    ours, theirs = load(ours), installed(f'swin/{theirs}')
    for key in ('param_scheduler', 'train_cfg', 'auto_scale_lr'):
        assert without_scope(ours[key]) == without_scope(theirs[key])
    for one in (ours, theirs):
        assert one.optim_wrapper.get('loss_scale', 'dynamic') == 'dynamic'
    for key in ('type', 'optimizer', 'paramwise_cfg'):
        assert without_scope(ours.optim_wrapper[key]) == without_scope(theirs.optim_wrapper[key])
    for loader in ('train_dataloader', 'test_dataloader'):
        assert without_scope(ours[loader].dataset.pipeline) == without_scope(theirs[loader].dataset.pipeline)
        assert ours[loader].batch_size == theirs[loader].batch_size
    assert parts(ours.model) == parts(theirs.model)


def test_faster_rcnn_has_mmdets_settings():
    assert parts(load('faster-rcnn_swin-t-p4-w7_fpn_1x_coco').model, 'neck') == parts(
        installed('_base_/models/faster-rcnn_r50_fpn').model, 'neck'
    )


def test_retinanet_has_mmdets_settings():
    assert parts(load('retinanet_swin-t-p4-w7_fpn_1x_coco').model) == parts(
        installed('swin/retinanet_swin-t-p4-w7_fpn_1x_coco').model
    )


def parts(model: dict, *without: str) -> dict:
    """All but the backbone, and of masks, of which a detector of boxes asks nothing."""
    model = without_scope({key: value for key, value in model.items() if key not in ('backbone', *without)})
    if 'Mask' not in model['type']:
        model['data_preprocessor'].pop('pad_mask', None)
        model.get('train_cfg', {}).get('rcnn', {}).pop('mask_size', None)
        model.get('test_cfg', {}).get('rcnn', {}).pop('mask_thr_binary', None)
    return model


def without_scope(node):
    """Plain settings: our parts under mmdet's names, without what says where a name is looked up or a file is read."""
    if isinstance(node, dict):
        unset = {key for key, value in node.items() if value is None} | {'_scope_', 'backend_args'}
        return {key: without_scope(value) for key, value in node.items() if key not in unset}
    if isinstance(node, list | tuple):
        return [without_scope(item) for item in node]
    return node.removeprefix('swin_mmdet.') if isinstance(node, str) else node


@pytest.mark.parametrize('name', ALL)
def test_guards_against_lost_and_spoiled_runs(name: str):
    cfg = load(name)
    checkpoint = cfg.default_hooks.checkpoint
    assert checkpoint.save_best == ('coco/segm_mAP' if 'mask' in name else 'coco/bbox_mAP')
    assert checkpoint.max_keep_ckpts == 3
    # each epoch, or each of the evaluations
    assert checkpoint.interval == cfg.train_cfg.val_interval
    assert {hook.type for hook in cfg.custom_hooks} == {'NumClassCheckHook', 'CheckInvalidLossHook'}
    assert 'swin_mmdet.compat' in cfg.custom_imports.imports


@pytest.mark.parametrize(
    ('part', 'name'),
    [('rpn_head', 'RPNHead'), ('roi_head', 'StandardRoIHead'), ('data_preprocessor', 'DetDataPreprocessor')],
)
def test_an_option_takes_mmdets_part_for_ours(part: str, name: str):
    register_all_modules()
    cfg = copy.deepcopy(load('mask-rcnn_swin-t-p4-w7_fpn_1x_coco'))
    cfg.merge_from_dict({f'model.{part}.type': name, 'model.backbone.init_cfg': None})
    model = MODELS.build(cfg.model)
    parts = {key: type(getattr(model, key)) for key in ('backbone', 'rpn_head', 'roi_head', 'data_preprocessor')}
    theirs = [key for key, cls in parts.items() if not cls.__module__.startswith('swin_mmdet.')]
    assert theirs == [part]
    assert parts[part].__name__ == name

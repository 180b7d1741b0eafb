"""SwinV2's configs: the authors' files fit them, and their recipe is that of arXiv 2111.09883, typed here from it."""

import re
from functools import lru_cache

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import DATASETS, MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor

from swin_mmdet.checkpoint import load_backbone_weights
from swin_mmdet.models import SwinTransformerV2

from .conftest import ROOT, with_channels

ONE_EACH = (1, 1, 1, 1)
WINDOW_16 = (16, (16, 16, 16, 8))
TO_32 = (32, (12, 12, 12, 6))
# backbone, window and the file's windows where they are others -> drop path rate
T, S, B, L = ('tiny', 0.2), ('small', 0.2), ('base', 0.3), ('large', 0.2)
EXPECTED = {
    f'{detector}_swinv2-{name}_fpn_{schedule}_coco': (*variant, *windows)
    for detector in ('mask-rcnn', 'cascade-mask-rcnn')
    for name, variant, windows, schedule in (
        ('t-p4-w8', T, (8, 0), '3x'),
        ('t-p4-w16', T, WINDOW_16, '3x'),
        ('s-p4-w8', S, (8, 0), '3x'),
        ('s-p4-w16', S, WINDOW_16, '3x'),
        ('b-p4-w8', B, (8, 0), '3x'),
        ('b-p4-w16', B, WINDOW_16, '3x'),
        ('l-p4-w12to32-in22k', L, TO_32, 'lsj-3x'),
    )
} | {
    'cascade-mask-rcnn_swinv2-t-p4-w8to16_fpn_3x_coco': (*T, 16, 8),
    'cascade-mask-rcnn_swinv2-t-p4-w8to32_fpn_3x_coco': (*T, 32, 8),
}  # fmt: skip
DIMS = {'tiny': 96, 'small': 96, 'base': 128, 'large': 192}
every_config = pytest.mark.parametrize('name', EXPECTED)


@lru_cache
def load(name: str, folder: str = 'swin_v2') -> Config:
    return with_channels(Config.fromfile(ROOT / f'configs/{folder}/{name}.py'))


def backbone_of(cfg: Config, **changes) -> SwinTransformerV2:
    settings = cfg.model.backbone.to_dict() | {'init_cfg': None} | changes
    assert settings.pop('type') == 'swin_mmdet.SwinTransformerV2'
    return SwinTransformerV2(**settings)


def test_every_config_is_expected_here():
    assert {path.stem for path in (ROOT / 'configs/swin_v2').glob('*.py')} == set(EXPECTED)


@every_config
def test_backbone(name: str):
    arch, drop_path_rate, window, pretrained = EXPECTED[name]
    cfg = load(name)
    settings = cfg.model.backbone
    with torch.device('meta'):
        backbone = backbone_of(cfg)
    dims = DIMS[arch]
    assert (backbone.variant.embed_dims, settings.arch) == (dims, arch)
    assert backbone.window_sizes == (window,) * 4
    assert settings.get('pretrained_window_size', 0) == pretrained
    assert backbone.drop_path_rate == drop_path_rate
    assert (backbone.out_indices, backbone.frozen_stages) == ((0, 1, 2, 3), -1)
    assert cfg.model.neck.in_channels == [dims, 2 * dims, 4 * dims, 8 * dims]
    kind = 'CascadeRCNN' if name.startswith('cascade') else 'MaskRCNN'
    assert cfg.model.type == f'swin_mmdet.{kind}'


def published_file(url: str) -> dict[str, Tensor]:
    """A file as the authors wrote it, by timm's list of theirs: real shapes and position tables, one block a stage.

    The authors keep the tables of relative positions in their files, which timm computes, and the merging at the end of
    a stage, where timm has it at the start of the next.
    """
    timm = pytest.importorskip('timm')
    listed = {
        cfg.url: f'{name}.{tag}'
        for name, tags in timm.models.swin_transformer_v2.default_cfgs.items()
        for tag, cfg in tags.cfgs.items()
    }
    model = timm.create_model(listed[url], depths=ONE_EACH, pretrained=False)
    tables = {key: value for key, value in model.named_buffers() if key.endswith('relative_coords_table')}
    assert len(tables) == 4
    weights = {
        re.sub(r'^layers\.(\d+)\.downsample', lambda m: f'layers.{int(m[1]) - 1}.downsample', key): value
        for key, value in (model.state_dict() | tables).items()
    }
    return {re.sub(r'^head\.fc\.', 'head.', key): value for key, value in weights.items()}


def center(table: Tensor, side: int) -> Tensor:
    """The smallest offsets of a table of relative positions: [1, S, S, 2] -> [1, side, side, 2]."""
    first = (table.shape[1] - side) // 2
    return table[:, first : first + side, first : first + side]


@pytest.mark.parametrize('name', [name for name in EXPECTED if name.startswith('cascade')])
def test_the_authors_file_loads_and_positions_keep_their_meaning(name: str):
    """An offset of so many tokens gives the position MLP the numbers that it was trained with."""
    cfg = load(name)
    weights = published_file(cfg.model.backbone.init_cfg.checkpoint)
    backbone = backbone_of(cfg, arch=None, embed_dims=DIMS[cfg.model.backbone.arch], depths=ONE_EACH,
                           num_heads=backbone_heads(cfg))  # fmt: skip
    report = load_backbone_weights(backbone, {'model': weights})
    assert (report.format, report.version) == ('microsoft', 2)
    assert not report.unexpected
    assert not report.resized
    assert set(report.missing) == {f'norm{stage}.{part}' for stage in range(4) for part in ('weight', 'bias')}
    for index, stage in enumerate(backbone.stages):
        theirs = weights[f'layers.{index}.blocks.0.attn.relative_coords_table']
        ours = stage.blocks[0].attn.relative_coords_table
        assert theirs.shape[1] <= ours.shape[1]
        torch.testing.assert_close(center(ours, theirs.shape[1]), theirs, rtol=0, atol=1e-6)


def backbone_heads(cfg: Config) -> tuple[int, ...]:
    """Channels of a head are 32 in every published Swin."""
    return tuple(DIMS[cfg.model.backbone.arch] * 2**stage // 32 for stage in range(4))


def test_mask_and_cascade_have_the_same_backbones():
    for name in EXPECTED:
        if name.startswith('mask-rcnn'):
            assert load(name).model.backbone == load(f'cascade-{name}').model.backbone


@every_config
def test_schedule(name: str):
    cfg = load(name)
    wrapper = cfg.optim_wrapper
    optimizer = wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.weight_decay) == ('AdamW', 1e-4, 0.05)
    assert (wrapper.type, wrapper.get('loss_scale', 'dynamic')) == ('AmpOptimWrapper', 'dynamic')
    assert cfg.train_cfg.max_epochs == 36
    warm_up, steps = cfg.param_scheduler
    assert (warm_up.type, warm_up.start_factor, warm_up.end, warm_up.by_epoch) == ('LinearLR', 0.001, 500, False)
    assert (steps.type, steps.milestones, steps.gamma) == ('MultiStepLR', [27, 33], 0.1)
    assert (cfg.train_dataloader.batch_size, cfg.auto_scale_lr.base_batch_size) == (2, 16)


def groups(cfg: Config) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of every parameter."""
    register_all_modules()
    cfg = cfg.copy()
    cfg.model.backbone.init_cfg = None
    cfg.optim_wrapper.type = 'OptimWrapper'  # as on a CPU
    cfg.optim_wrapper.pop('loss_scale', None)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
    }


# classification code of the authors: these, and the norms as everywhere
WITHOUT_DECAY = re.compile(r'norm|cpb_mlp|logit_scale')


def assert_groups(found: dict[str, tuple[float, float]], lr: dict[str, float]) -> None:
    """`lr`: pattern of names -> learning rate; the first that matches counts."""
    for kind in ('cpb_mlp.0.bias', 'logit_scale', 'norm1.weight', 'backbone.norm3.bias', 'q_bias', 'downsample.norm'):
        assert any(kind in name for name in found), kind
    for name, (rate, decay) in found.items():
        assert rate == pytest.approx(next(value for pattern, value in lr.items() if re.search(pattern, name))), name
        assert decay == (0.0 if WITHOUT_DECAY.search(name) else 0.05), name


def test_groups_of_the_recipe():
    assert_groups(groups(load('cascade-mask-rcnn_swinv2-s-p4-w16_fpn_3x_coco')), {'': 1e-4})


def test_the_backbone_of_l_learns_at_a_tenth():
    found = groups(load('mask-rcnn_swinv2-l-p4-w12to32-in22k_fpn_lsj-3x_coco'))
    assert_groups(found, {r'^backbone\.': 1e-5, '': 1e-4})


def test_from_scratch_the_norms_of_blocks_learn_faster():
    cfg = load('mask-rcnn_swinv2-t-p4-w8_fpn_nuclei', 'nuclei')
    assert 'init_cfg' not in cfg.model.backbone
    assert (cfg.train_cfg.max_iters, cfg.optim_wrapper.clip_grad.max_norm) == (400, 1.0)
    assert_groups(groups(cfg), {r'^backbone\.stages\.\d\.blocks\.\d\.norm[12]\.': 2e-3, '': 2e-4})


@pytest.mark.parametrize('detector', ['mask-rcnn', 'cascade-mask-rcnn'])
def test_l_is_trained_on_jittered_images_of_1024(detector: str):
    cfg = load(f'{detector}_swinv2-l-p4-w12to32-in22k_fpn_lsj-3x_coco')
    pipeline = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    assert list(pipeline) == [
        'LoadImageFromFile', 'swin_mmdet.LoadAnnotations', 'swin_mmdet.RandomFlip', 'RandomResize', 'RandomCrop',
        'FilterAnnotations', 'swin_mmdet.PackDetInputs',
    ]  # fmt: skip
    resize, crop = pipeline['RandomResize'], pipeline['RandomCrop']
    assert (resize.scale, resize.ratio_range, resize.keep_ratio) == ((1024, 1024), (0.1, 2.0), True)
    assert (crop.crop_size, crop.crop_type, crop.recompute_bbox, crop.allow_negative_crop) == (
        (1024, 1024), 'absolute', True, True,
    )  # fmt: skip
    (canvas,) = cfg.model.data_preprocessor.batch_augments
    assert (canvas.type, canvas.size, canvas.pad_mask) == ('BatchFixedSizePad', (1024, 1024), True)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert loader.dataset.pipeline[1].scale == (1024, 1024)


def test_a_jittered_batch_fills_its_canvas(shapes):
    """Images and packed masks through the pipeline of L, on a smaller canvas."""
    register_all_modules()
    init_default_scope('mmdet')
    cfg = load('mask-rcnn_swinv2-l-p4-w12to32-in22k_fpn_lsj-3x_coco').copy()
    dataset = cfg.train_dataloader.dataset
    for step in dataset.pipeline:
        for key in {'scale', 'crop_size'} & set(step):
            step[key] = (64, 64)
    files = dict(data_root=str(shapes), ann_file='annotations/instances_train2017.json')
    dataset.update(files, data_prefix=dict(img='train2017/'), metainfo=dict(classes=('circle', 'square', 'triangle')))
    dataset.filter_cfg = None
    preprocessor = cfg.model.data_preprocessor
    preprocessor.batch_augments[0].size = (64, 64)
    data = DATASETS.build(dataset)
    batch = MODELS.build(preprocessor)(pseudo_collate([data[index] for index in range(4)]), training=True)
    assert batch['inputs'].shape == (4, 3, 64, 64)
    for sample in batch['data_samples']:
        instances = sample.gt_instances
        assert sample.batch_input_shape == (64, 64)
        assert (instances.masks.height, instances.masks.width) == (64, 64)
        assert len(instances.masks) == len(instances.bboxes) == len(instances.labels)
        torch.testing.assert_close(instances.masks.get_bboxes().tensor, instances.bboxes, rtol=0, atol=1.0)



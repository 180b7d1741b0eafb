"""Configs that start from MoBY's and SimMIM's files: those load, the rest is the recipe of supervised weights."""

import re
from functools import lru_cache

import pytest
import torch
from mmengine.config import Config
from torch import Tensor

from swin_mmdet.checkpoint import load_backbone_weights, read_checkpoint
from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from swin_mmdet.ops.relative_position import relative_coords_table
from tests.checkpoint import published
from tests.checkpoint.libraries import Sizes

from .conftest import ROOT, with_channels

MOBY = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.3/moby_swin_t_300ep_pretrained.pth'
SUPERVISED = {
    'mask-rcnn_swin-t-p4-w7-moby-pre_fpn_1x_coco': 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco',
    'mask-rcnn_swin-t-p4-w7-moby-pre_fpn_3x_coco': 'swin/mask-rcnn_swin-t-p4-w7_fpn_3x_coco',
    'cascade-mask-rcnn_swin-t-p4-w7-moby-pre_fpn_1x_coco': 'swin/cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco',
}
CASCADE_3X = 'cascade-mask-rcnn_swin-t-p4-w7-moby-pre_fpn_3x_coco'
# config -> class, channels, drop path rate, windows of training, windows of the file in its stages
SIMMIM = {
    'mask-rcnn_swin-b-p4-w7-simmim-pre_fpn_3x_coco': (SwinTransformer, 128, 0.3, 7, (6, 6, 6, 6)),
    'mask-rcnn_swin-l-p4-w14-simmim-pre_fpn_3x_coco': (SwinTransformer, 192, 0.3, 14, (12, 12, 12, 6)),
    'mask-rcnn_swinv2-b-p4-w16-simmim-pre_fpn_3x_coco': (SwinTransformerV2, 128, 0.3, 16, (12, 12, 12, 6)),
    'mask-rcnn_swinv2-l-p4-w16-simmim-pre_fpn_3x_coco': (SwinTransformerV2, 192, 0.3, 16, (12, 12, 12, 6)),
}
DEPTHS, HEADS = (1, 1, 1, 1), (1, 2, 4, 8)


@lru_cache
def load(name: str) -> Config:
    return with_channels(Config.fromfile(ROOT / f'configs/{name}.py'))


def small_backbone(cfg: Config) -> SwinTransformer | SwinTransformerV2:
    """The config's backbone with one block a stage and few channels, and its windows."""
    settings = cfg.model.backbone.to_dict() | {'arch': dict(embed_dims=16, depths=DEPTHS, num_heads=HEADS)}
    cls = {'SwinTransformer': SwinTransformer, 'SwinTransformerV2': SwinTransformerV2}
    return cls[settings.pop('type').removeprefix('swin_mmdet.')](**settings | {'init_cfg': None})


def test_every_config_is_expected_here():
    names = {path.stem for path in (ROOT / 'configs/self_supervised').glob('*.py')}
    assert names == {*SUPERVISED, CASCADE_3X, *SIMMIM}


@pytest.mark.parametrize('name', SUPERVISED)
def test_moby_changes_the_weights_only(name: str):
    """The authors link the supervised weights' configs for these results."""
    one, other = load(f'self_supervised/{name}').to_dict(), load(SUPERVISED[name]).to_dict()
    assert one['model']['backbone'].pop('init_cfg') == {'type': 'Pretrained', 'checkpoint': MOBY}
    other['model']['backbone'].pop('init_cfg')
    assert one == other


def test_cascade_3x():
    """Facts of the authors' config, whose 1x leaves nothing to chance (drop path 0) and whose 3x has 0.2."""
    cfg, one_x = load(f'self_supervised/{CASCADE_3X}'), load('swin/cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco')
    backbone = cfg.model.backbone
    assert (backbone.arch, backbone.window_size, backbone.drop_path_rate) == ('tiny', 7, 0.2)
    assert backbone.init_cfg.checkpoint == MOBY
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[1].milestones) == (36, [27, 33])
    for part in ('neck', 'rpn_head', 'roi_head', 'train_cfg', 'test_cfg', 'data_preprocessor'):
        assert cfg.model[part] == one_x.model[part], part
    for part in ('optim_wrapper', 'train_dataloader', 'val_evaluator', 'default_hooks'):
        assert cfg[part] == one_x[part], part


def test_a_file_of_moby_loads():
    sizes = Sizes(16, DEPTHS, HEADS, 7, 224)
    backbone = small_backbone(load(f'self_supervised/{CASCADE_3X}'))
    weights = published.microsoft_state_dict(sizes)
    report = load_backbone_weights(backbone, published.moby(weights))
    assert report.format == 'moby'
    assert not report.resized
    assert not report.unexpected
    # the online encoder, not that of the momentum
    assert torch.equal(backbone.stages[0].blocks[0].mlp.fc1.weight, weights['layers.0.blocks.0.mlp.fc1.weight'])


def simmim_file(version: int, windows: tuple[int, ...]) -> dict[str, dict[str, Tensor]]:
    """A file by the published keys, with windows of their own in its stages."""
    weights = published.microsoft_state_dict(Sizes(16, DEPTHS, HEADS, 6, 192), version)
    generator = torch.Generator().manual_seed(1)
    for stage, window in enumerate(windows):
        prefix = f'layers.{stage}.blocks.0.attn.relative_'
        weights[f'{prefix}position_index'] = torch.zeros(window**2, window**2, dtype=torch.int64)
        if version == 1:
            shape = (2 * window - 1) ** 2, HEADS[stage]
            weights[f'{prefix}position_bias_table'] = torch.randn(shape, generator=generator)
        else:
            weights[f'{prefix}coords_table'] = relative_coords_table(window)
    return published.simmim(weights)


@pytest.mark.parametrize('name', SIMMIM)
def test_a_file_of_simmim_loads(name: str):
    cls, channels, drop_path_rate, window, windows = SIMMIM[name]
    cfg = load(f'self_supervised/{name}')
    backbone = small_backbone(cfg)
    assert type(backbone) is cls
    assert (backbone.drop_path_rate, backbone.window_sizes) == (drop_path_rate, (window,) * 4)
    assert cfg.model.backbone.arch == {128: 'base', 192: 'large'}[channels]
    assert cfg.model.neck.in_channels == [channels * 2**stage for stage in range(4)]
    assert (cfg.train_cfg.max_epochs, cfg.param_scheduler[1].milestones) == (36, [27, 33])
    options = {key: value for key, value in cfg.model.backbone.init_cfg.items() if key not in ('type', 'checkpoint')}
    version = 1 if cls is SwinTransformer else 2
    # V2's MLP serves every window
    assert options == ({'resize': 'geometric'} if version == 1 else {})
    report = load_backbone_weights(backbone, simmim_file(version, windows), **options)
    assert (report.format, report.version) == ('simmim', version)
    assert not report.unexpected
    assert {key for key in report.missing if not re.match(r'norm\d\.', key)} == set()
    expected = {
        f'stages.{stage}.blocks.0.attn.relative_position_bias_table': f'window {old} to {window}, geometric'
        for stage, old in enumerate(windows)
    }
    assert report.resized == (expected if version == 1 else {})


def test_the_file_of_the_hub_loads(tmp_path):
    """Swin-B's address leads to a file of transformers, with the decoder and a mask token."""
    transformers = pytest.importorskip('transformers')
    cfg = load('self_supervised/mask-rcnn_swin-b-p4-w7-simmim-pre_fpn_3x_coco')
    assert 'microsoft/swin-base-simmim-window6-192' in cfg.model.backbone.init_cfg.checkpoint
    config = transformers.SwinConfig(
        image_size=192, embed_dim=16, depths=DEPTHS, num_heads=HEADS, window_size=6, encoder_stride=32
    )
    transformers.SwinForMaskedImageModeling(config).save_pretrained(tmp_path)
    weights = read_checkpoint(tmp_path / 'model.safetensors').state_dict
    assert {'swin.embeddings.mask_token', 'decoder.0.weight'} <= weights.keys()
    torch.save(weights, tmp_path / 'pytorch_model.bin')
    backbone = small_backbone(cfg)
    report = load_backbone_weights(backbone, tmp_path / 'pytorch_model.bin', resize='geometric')
    assert report.format == 'transformers'
    assert not report.unexpected
    assert len(report.resized) == 4
    expected = weights['swin.encoder.layers.3.blocks.0.intermediate.dense.weight']
    assert torch.equal(backbone.stages[3].blocks[0].mlp.fc1.weight, expected)

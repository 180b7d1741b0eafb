"""Every parameter's learning rate against depths typed by hand for blocks (2, 2, 6, 2)."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.models.backbones import SwinTransformer as MMDetSwinTransformer

from swin_mmdet.models import SwinTransformer, SwinTransformerV2

from .test_optim_wrapper_constructor import settings

NUMBERS = {'embed_dims': 8, 'depths': (2, 2, 6, 2), 'num_heads': (1, 1, 1, 1)}
DEPTHS = {
    'patch_embed.': 0, 'absolute_pos_embed': 0,
    'stages.0.blocks.0.': 1, 'stages.0.blocks.1.': 2, 'stages.0.downsample.': 2,
    'stages.1.blocks.0.': 3, 'stages.1.blocks.1.': 4, 'stages.1.downsample.': 4,
    'stages.2.blocks.0.': 5, 'stages.2.blocks.1.': 6, 'stages.2.blocks.2.': 7, 'stages.2.blocks.3.': 8,
    'stages.2.blocks.4.': 9, 'stages.2.blocks.5.': 10, 'stages.2.downsample.': 10,
    'stages.3.blocks.0.': 11, 'stages.3.blocks.1.': 12,
    'norm0.': 13, 'norm1.': 13, 'norm2.': 13, 'norm3.': 13,
}  # fmt: skip
RATE = 0.5
PARAMWISE = {
    'custom_keys': {
        'norm': {'decay_mult': 0.0},
        'relative_position_bias_table': {'decay_mult': 0.0},
        'stages.2': {'lr_mult': 0.1},
    },
    'bias_lr_mult': 2.0,
}


class Detector(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(8, 8)


def backbones():
    return {
        'V1': SwinTransformer(**NUMBERS, use_abs_pos_embed=True),
        'V2': SwinTransformerV2(**NUMBERS),
        'of mmdet': MMDetSwinTransformer(8, depths=(2, 2, 6, 2), num_heads=(1, 1, 1, 1), use_abs_pos_embed=True),
    }


def optimizer_of(model, constructor, **paramwise):
    return build_optim_wrapper(model, {
        'type': 'OptimWrapper', 'constructor': constructor, 'paramwise_cfg': paramwise,
        'optimizer': {'type': 'AdamW', 'lr': 0.1, 'weight_decay': 0.05},
    }).optimizer  # fmt: skip


def depth_of(name):
    if not name.startswith('backbone.'):
        return 13
    (depth,) = [depth for start, depth in DEPTHS.items() if name.removeprefix('backbone.').startswith(start)]
    return depth


@pytest.mark.parametrize('kind', ['V1', 'V2', 'of mmdet'])
@pytest.mark.parametrize('paramwise', [{}, PARAMWISE], ids=['alone', 'with other rules'])
def test_learning_rates_fall_towards_the_input(kind, paramwise):
    model = Detector(backbones()[kind])
    decayed = optimizer_of(model, 'swin_mmdet.LayerDecayOptimWrapperConstructor', layer_decay_rate=RATE, **paramwise)
    plain = settings(optimizer_of(model, 'DefaultOptimWrapperConstructor', **paramwise), model)
    found = settings(decayed, model)
    assert found.keys() == plain.keys() == dict(model.named_parameters()).keys()
    for name, (lr, decay) in found.items():
        assert lr == pytest.approx(plain[name][0] * RATE ** (13 - depth_of(name)), rel=1e-12), name
        assert decay == plain[name][1], name
    # a rate and a decay make a group, not a parameter
    assert len(decayed.param_groups) == len(set(found.values())) <= 14 * 4


def test_a_wrapped_model_and_frozen_stages():
    class Wrapper(nn.Module):
        def __init__(self, module: nn.Module) -> None:
            super().__init__()
            self.module = module

    model = Detector(SwinTransformer(**NUMBERS, frozen_stages=1))
    optimizer = optimizer_of(Wrapper(model), 'swin_mmdet.LayerDecayOptimWrapperConstructor', layer_decay_rate=RATE)
    found = settings(optimizer, model)
    assert found['head.weight'][0] == 0.1
    assert found['backbone.stages.1.blocks.0.attn.qkv.weight'][0] == 0.1 * 0.5**10
    frozen = {name for name, x in model.named_parameters() if not x.requires_grad}
    assert frozen
    assert frozen.isdisjoint(found)


def test_steps_are_scaled():
    model = Detector(SwinTransformer(**NUMBERS)).double()
    wrapper = build_optim_wrapper(model, {
        'type': 'OptimWrapper', 'constructor': 'swin_mmdet.LayerDecayOptimWrapperConstructor',
        'paramwise_cfg': {'layer_decay_rate': RATE}, 'optimizer': {'type': 'SGD', 'lr': 1.0},
    })  # fmt: skip
    before = {name: x.detach().clone() for name, x in model.named_parameters()}
    wrapper.update_params(sum(x.sum() for x in model.parameters()))
    for name, x in model.named_parameters():
        torch.testing.assert_close(before[name] - x, torch.full_like(x, RATE ** (13 - depth_of(name))), msg=name)


@pytest.mark.parametrize('rate', [None, 0, 1.5, 'fast'])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match=f'layer_decay_rate={rate!r} must be a number'):
        optimizer_of(Detector(nn.Linear(2, 2)), 'swin_mmdet.LayerDecayOptimWrapperConstructor', layer_decay_rate=rate)


def test_a_model_without_swin_is_refused_by_name():
    with pytest.raises(ValueError, match='Detector has none'):
        optimizer_of(Detector(nn.Linear(2, 2)), 'swin_mmdet.LayerDecayOptimWrapperConstructor', layer_decay_rate=0.9)

"""Parameters' settings are those of mmengine's constructor, in few groups."""

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from swin_mmdet.engine.optim_wrapper_constructor import merge_groups

PARAMWISE = {
    'custom_keys': {'table': {'decay_mult': 0.0}, 'norm': {'decay_mult': 0.0}, 'backbone': {'lr_mult': 0.1}},
    'bias_lr_mult': 2.0,
}


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
        self.head = nn.Linear(3, 3)
        self.norm = nn.LayerNorm(3)
        self.table = nn.Parameter(torch.zeros(2))
        self.frozen = nn.Linear(3, 3).requires_grad_(False)


def settings(optimizer, model):
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[parameter]: (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
    }


@pytest.mark.parametrize('paramwise', [PARAMWISE, None])
def test_every_parameter_has_mmengines_settings(paramwise):
    model = Model()
    made = []
    for constructor in ('DefaultOptimWrapperConstructor', 'swin_mmdet.OptimWrapperConstructor'):
        cfg = {
            'type': 'OptimWrapper', 'constructor': constructor, 'paramwise_cfg': paramwise,
            'optimizer': {'type': 'AdamW', 'lr': 0.1, 'weight_decay': 0.05},
        }  # fmt: skip
        made.append(build_optim_wrapper(model, cfg).optimizer)
    theirs, ours = made
    assert settings(ours, model) == settings(theirs, model)
    theirs, ours = ([group['params'] for group in optimizer.param_groups] for optimizer in (theirs, ours))
    assert sum(map(len, ours)) == sum(map(len, theirs))
    if paramwise:
        assert len(ours) < len(theirs) == sum(map(len, theirs))


def test_steps_are_the_same():
    results = []
    for constructor in ('DefaultOptimWrapperConstructor', 'swin_mmdet.OptimWrapperConstructor'):
        torch.manual_seed(0)
        model = Model()
        wrapper = build_optim_wrapper(model, {
            'type': 'OptimWrapper', 'constructor': constructor, 'paramwise_cfg': PARAMWISE,
            'optimizer': {'type': 'AdamW', 'lr': 0.1, 'weight_decay': 0.05},
        })  # fmt: skip
        for _ in range(3):
            wrapper.update_params(model.norm(model.head(model.backbone(torch.ones(1, 2)))).sum() + model.table.sum())
        results.append(torch.cat([x.flatten() for x in model.parameters()]))
    torch.testing.assert_close(*results, rtol=0, atol=1e-6)


def test_groups_keep_their_order_and_other_settings():
    a, b, c = 'abc'
    groups = [{'params': [a], 'lr': 1}, {'params': [b], 'lr': 2}, {'params': [c], 'lr': 1}, {'params': [], 'x': 3}]
    assert merge_groups(groups) == [{'params': [a, c], 'lr': 1}, {'params': [b], 'lr': 2}, {'params': [], 'x': 3}]


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_gets_fused_steps_and_bf16_unless_told_otherwise():
    def made(**options):
        wrapper = {'type': 'AmpOptimWrapper', 'constructor': 'swin_mmdet.OptimWrapperConstructor'} | options
        wrapper['optimizer'] = {'type': 'AdamW', 'lr': 0.1} | wrapper.get('optimizer', {})
        return build_optim_wrapper(Model().cuda(), wrapper)

    wrapper = made()
    assert wrapper.optimizer.param_groups[0]['fused']
    assert wrapper.cast_dtype == (torch.bfloat16 if torch.cuda.is_bf16_supported() else None)
    assert made(dtype='float16').cast_dtype == torch.float16
    assert not made(optimizer={'fused': False}).optimizer.param_groups[0]['fused']


@pytest.mark.parametrize(
    ('options', 'fused'),
    [
        ({'type': 'AdamW'}, True),
        ({'type': torch.optim.SGD}, True),
        ({'type': 'AdamW', 'fused': False}, False),
        ({'type': 'AdamW', 'foreach': True}, None),
        ({'type': 'Rprop'}, None),
    ],
    ids=str,
)
def test_on_a_gpu_pytorchs_optimizers_are_fused_unless_the_config_says(options, fused, monkeypatch):
    made = {}
    for on_gpu in (True, False):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda on_gpu=on_gpu: on_gpu)
        cfg = {'constructor': 'swin_mmdet.OptimWrapperConstructor', 'optimizer': {'lr': 0.1} | options}
        made[on_gpu] = build_optim_wrapper(Model(), cfg).optimizer.defaults.get('fused')
    assert made == {True: fused, False: options.get('fused')}


@pytest.mark.parametrize('has_bf16', [True, False])
def test_mixed_precision_is_bf16_where_the_gpu_has_it(has_bf16, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda: has_bf16)
    dtypes = []
    for options in ({}, {'dtype': 'float16'}):
        cfg = {'type': 'AmpOptimWrapper', 'constructor': 'swin_mmdet.OptimWrapperConstructor', **options}
        dtypes.append(build_optim_wrapper(Model(), cfg | {'optimizer': {'type': 'SGD', 'lr': 0.1}}).cast_dtype)
    assert dtypes == [torch.bfloat16 if has_bf16 else None, torch.float16]

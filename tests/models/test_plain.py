"""What others put into a model is called, not passed by: by fused operations, by replayed steps, by the attention."""

import copy
import logging

import pytest
import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
)
from torch.nn.utils import parametrizations, parametrize, prune

from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from swin_mmdet.models.block import Mlp
from swin_mmdet.models.fused import why_not_fused_patches, why_not_fused_stage
from swin_mmdet.models.patch_embed import PatchEmbed
from swin_mmdet.models.watched_model import WatchedModel
from swin_mmdet.ops import log

pytest.importorskip('triton')
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
ARCH = {'embed_dims': 16, 'depths': (2, 1), 'num_heads': (1, 2), 'window_size': 4, 'out_indices': (0, 1)}
BOTH = pytest.mark.parametrize('cls', [SwinTransformer, SwinTransformerV2])


def make(cls=SwinTransformer, backend='triton', **options):
    torch.manual_seed(0)
    model = cls(**ARCH, attn_backend=backend, drop_path_rate=0.0, **options).to(DEVICE)
    for name, parameter in model.named_parameters():
        nn.init.normal_(parameter, mean=float(name.endswith('norm.weight')), std=0.1)
    return model


def image(seed=1):
    """Whose maps are no multiples of the window."""
    return torch.randn(1, 3, 18, 22, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def why_not(model, stage=0):
    x = torch.zeros(1, 8, 8, 16 * 2**stage, device=DEVICE)
    return why_not_fused_stage(model.stages[stage], x, getattr(model, f'norm{stage}'))


def with_forward(path, cls=None):
    """Doubles what a module returns, in its `forward` or by a subclass in its place."""

    def change(model):
        module = model.get_submodule(path)
        if cls is not None:
            module.__class__ = type(f'Other{cls.__name__}', (cls,), {'forward': lambda s, *a: 2 * cls.forward(s, *a)})
            return
        original = module.forward
        module.forward = lambda *arguments: 2 * original(*arguments)

    return change


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def lora(cls_of_layers):
    def change(model):
        from peft import LoraConfig, inject_adapter_in_model

        inject_adapter_in_model(LoraConfig(r=2, target_modules=cls_of_layers, init_lora_weights=False), model)

    return change


def int8_weights(model):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig(), filter_fn=lambda module, _: isinstance(module, nn.Linear))


BLOCK = 'stages.0.blocks.0'
# what is done, and the words of the reason in stage 0
CHANGES = {
    **{
        f'forward of {part}': (with_forward(f'{BLOCK}.{part}'), f'{part.split(".")[-1]}, a')
        for part in ('norm1', 'attn', 'attn.qkv', 'attn.proj', 'drop', 'mlp', 'mlp.fc1', 'mlp.act', 'mlp.drop', 'norm2')
    },
    'forward of the block': (with_forward(BLOCK), 'blocks.0, a SwinBlock'),
    'forward of the merging': (with_forward('stages.0.downsample'), 'downsample, a PatchMerging'),
    'forward of the reduction': (with_forward('stages.0.downsample.reduction'), 'reduction, a Linear'),
    'forward of the norm of a map': (with_forward('norm0'), 'the norm of its map'),
    'a subclass': (with_forward(f'{BLOCK}.mlp.fc1', nn.Linear), 'OtherLinear'),
    'another GELU': (
        lambda m: setattr(m.get_submodule(f'{BLOCK}.mlp.act'), 'approximate', 'tanh'), "approximate='tanh'",
    ),
    'no bias': (lambda m: setattr(m.get_submodule(f'{BLOCK}.mlp.fc1'), 'bias', None), 'fc1.bias is a NoneType'),
    'parametrize': (
        lambda m: parametrize.register_parametrization(m.get_submodule(f'{BLOCK}.mlp.fc2'), 'weight', Doubled()),
        'ParametrizedLinear',
    ),
    'pruning': (lambda m: prune.l1_unstructured(m.get_submodule(f'{BLOCK}.attn.qkv'), 'weight', 0.5), 'qkv, a Linear'),
    'weight_norm': (lambda m: parametrizations.weight_norm(m.get_submodule(f'{BLOCK}.attn.qkv')), 'ParametrizedLinear'),
    'spectral_norm': (
        lambda m: nn.utils.spectral_norm(m.get_submodule(f'{BLOCK}.attn.qkv')), 'qkv, a Linear',
    ),
    'LoRA': (lora(['qkv', 'fc1']), 'in the place of a Linear'),
    'int8 weights': (int8_weights, 'qkv.weight is a'),
}  # fmt: skip


@pytest.fixture(scope='module')
def plain_maps():
    """Of a model that nobody touched."""
    with torch.no_grad():
        return make().eval()(image())


@pytest.mark.parametrize('name', CHANGES)
def test_what_is_changed_is_called(name, plain_maps):
    """As the modules' own forward has it, whose attention is the reference's; and its stage says so."""
    change, reason = CHANGES[name]
    found, expected = make().eval(), make(backend='reference').eval()
    assert why_not(found) is None
    for model in (found, expected):
        torch.manual_seed(5)
        change(model)
    assert reason in why_not(found), why_not(found)
    assert ('LoRA' in name or 'int8' in name) == (why_not(found, stage=1) is not None)
    with torch.no_grad():
        results = [model(image()) for model in (found, expected)]
    for one, other, before in zip(*results, plain_maps, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * other.abs().max().item())
        assert not torch.equal(one, before)


@BOTH
@pytest.mark.parametrize('name', ['forward of attn.qkv', 'pruning', 'weight_norm', 'LoRA'])
def test_what_stands_for_qkv_learns(name, cls):
    """Two steps of every parameter, against the formula with the layer's effective weight and bias."""
    model = make(cls, backend='reference').train()
    CHANGES[name][0](model)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    qkv = model.stages[0].blocks[0].attn.qkv
    for _ in range(2):
        before = {key: p.detach().clone() for key, p in qkv.named_parameters() if p.requires_grad}
        sum(x.square().mean() for x in model(image())).backward()
        optimizer.step()
        optimizer.zero_grad()
        assert before
        for key, parameter in qkv.named_parameters():
            assert not parameter.requires_grad or not torch.equal(parameter, before[key]), key


@BOTH
def test_padding_is_what_the_module_makes_of_zeros(cls):
    """A layer of other weights is as if its weights were in a plain one."""
    plain, other = make(cls, backend='reference').eval(), make(cls, backend='reference').eval()
    for block in plain.stages[0].blocks:
        block.attn.qkv.weight.data *= 2
        if block.attn.qkv.bias is not None:
            block.attn.qkv.bias.data *= 2
    for index in range(2):
        with_forward(f'stages.0.blocks.{index}.attn.qkv')(other)
    for one, expected in zip(other(image()), plain(image()), strict=True):
        torch.testing.assert_close(one, expected)


@BOTH
def test_a_hook_of_qkv_fires_once_a_step(cls):
    model, fired = make(cls, backend='reference'), []
    expected = model(image())
    model.stages[0].blocks[0].attn.qkv.register_forward_hook(lambda *_: fired.append(1))
    for one, other in zip(model(image()), expected, strict=True):
        torch.testing.assert_close(one, other)
    assert len(fired) == 1


@BOTH
@pytest.mark.filterwarnings('ignore::DeprecationWarning', 'ignore::UserWarning')
def test_dynamic_quantisation_runs(cls):
    model = make(cls, backend='auto').cpu().eval()
    quantised = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear})
    for one, other in zip(quantised(image().cpu()), model(image().cpu()), strict=True):
        assert (one - other).norm() < 0.1 * other.norm()


@pytest.mark.parametrize(
    'register', [register_module_forward_hook, register_module_forward_pre_hook, register_module_full_backward_hook]
)
def test_hooks_of_all_modules_see_every_layer(register):
    model, seen = make(), []
    assert why_not(model) is None
    handle = register(lambda module, *_: seen.append(module))
    try:
        assert 'hooks of all modules' in why_not(model)
        assert 'hooks of all modules' in why_not_fused_patches(model.patch_embed, image(), 'triton')
        sum(x.sum() for x in model(image())).backward()
        qkv = model.stages[0].blocks[0].attn.qkv
        assert {type(module) for module in seen} >= {nn.Linear, nn.LayerNorm, nn.Conv2d, nn.GELU, Mlp, PatchEmbed}
        assert qkv in seen
    finally:
        handle.remove()
    assert why_not(model) is None


def test_a_class_whose_forward_is_replaced(monkeypatch):
    model = make()
    assert model.is_fused(image())
    monkeypatch.setattr(nn.LayerNorm, 'forward', lambda _, x: x)
    assert 'LayerNorm is replaced' in why_not(model)


def test_a_changed_patch_convolution():
    model = make()
    model.patch_embed.proj = nn.Conv2d(3, 16, 7, 4, 3).to(DEVICE)
    assert 'padding=(3, 3)' in why_not_fused_patches(model.patch_embed, image(), 'triton')
    model.patch_embed.proj = nn.Conv2d(3, 16, 2, 4).to(DEVICE)
    assert 'kernels of (2, 2)' in why_not_fused_patches(model.patch_embed, image(), 'triton')


@BOTH
@pytest.mark.parametrize(
    'path', ['stages.0', 'stages.0.downsample', 'pos_drop', 'norm1', f'{BLOCK}.attn.proj', 'patch_embed.norm']
)
def test_a_recording_ends_with_a_forward_of_ones_own(path, cls):
    """And no other is made; of V2's position MLP and merging too, which are called from fused operations."""
    model = make(cls)
    watched = WatchedModel(model)
    assert model.is_fused(image())
    assert watched.is_of(model)
    with_forward(path)(model)
    assert not watched.is_of(model)
    assert WatchedModel(model).is_touched()


def test_a_recording_ends_with_what_else_may_change():
    model = make(SwinTransformerV2)
    for change in (
        lambda: setattr(model.stages[0].blocks[0].mlp.act, 'approximate', 'tanh'),
        lambda: with_forward(f'{BLOCK}.norm1', nn.LayerNorm)(model),
        lambda: model.stages[0].register_forward_pre_hook(lambda *_: None),
        lambda: lora(['cpb_mlp.0'])(model),
    ):
        watched = WatchedModel(model)
        assert watched.is_of(model)
        assert not watched.is_of(copy.deepcopy(model))
        change()
        assert not watched.is_of(model)
    assert 'cpb_mlp.0' in make_adapted().why_not_fused(image())
    model = make()
    watched = WatchedModel(model)
    handle = register_module_forward_hook(lambda *_: None)
    try:
        assert not watched.is_of(model)
    finally:
        handle.remove()
    assert watched.is_of(model)


def make_adapted():
    """Fused operations call V2's position MLP; an adapter in it may do anything, so no step is recorded."""
    model = make(SwinTransformerV2)
    lora(['cpb_mlp.0'])(model)
    return model


def test_it_is_said_which_module_it_is(caplog, monkeypatch):
    monkeypatch.setattr(log, '_LOGGED', set())
    model = make().eval()
    with_forward('stages.0.blocks.1.norm1')(model)
    with caplog.at_level(logging.INFO, 'swin_mmdet'):
        model(image())
    said = [record.message for record in caplog.records if record.message.startswith('stages run')]
    assert len(said) == 2
    assert 'module by module: blocks.1.norm1, a LayerNorm, has hooks or a forward of its own (stage of 16' in said[0]
    assert 'fused' in said[1]

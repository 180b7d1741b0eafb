"""The backbone: its numbers against the published definition and mmdet's model, and what a user may ask of it."""

import logging

import numpy as np
import pytest
import torch
from torch import nn

from swin_mmdet.models import SwinTransformer
from swin_mmdet.ops.stochastic_depth import draw_branch_scales, scale_branch
from swin_mmdet.ops.windows import shift_mask
from swin_mmdet.variants import VARIANTS
from tests.golden.definition import make_image, make_parameters, parameter_shapes
from tests.golden.make_golden import ARCHITECTURE, GOLDEN, SIZES, WINDOW_SIZE, record
from tests.numerics import assert_equal_to_definition

SMALL = {'embed_dims': 16, 'depths': (2, 2, 2, 2), 'num_heads': (1, 2, 4, 8)}


def small(**options):
    torch.manual_seed(0)
    return SwinTransformer(**({**SMALL, 'drop_path_rate': 0.0} | options))


def golden_model(dtype, attn_backend, with_cp=False):
    model = SwinTransformer(**ARCHITECTURE, drop_path_rate=0.0, attn_backend=attn_backend, with_cp=with_cp).to(dtype)
    shapes = parameter_shapes(**ARCHITECTURE, window_size=WINDOW_SIZE)
    model.load_state_dict({name: value.to(dtype) for name, value in make_parameters(shapes).items()})
    return model


@pytest.mark.parametrize('attn_backend', ['reference', 'sdpa', 'tiled'])
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize('size', SIZES, ids=lambda size: f'{size[0]}x{size[1]}')
def test_outputs_and_gradients_equal_the_golden_files(size, dtype, attn_backend):
    golden = np.load(GOLDEN)
    model = golden_model(dtype, attn_backend)
    found = record(model, dict(model.named_parameters()), make_image(*size).to(dtype))
    label = f'{size[0]}x{size[1]}/'
    assert {key.removeprefix(label) for key in golden if key.startswith(label)} == set(found)
    for name, value in found.items():
        assert_equal_to_definition(torch.from_numpy(value).to(dtype), torch.from_numpy(golden[label + name]), name)


@pytest.mark.parametrize('size', [(224, 224), (200, 300), (37, 53), (20, 20)], ids=str)
def test_tiny_equals_mmdets_own_model_with_its_weights(size):
    """mmdet's class computes what the official one does (it pads before it rolls); its state dict is another format."""
    pytest.importorskip('mmdet')
    import swin_mmdet.compat  # noqa: F401

    # isort: split
    from mmdet.models.backbones.swin import SwinTransformer as MmdetSwin

    from swin_mmdet.checkpoint import load_backbone_weights

    torch.manual_seed(0)
    theirs = MmdetSwin(drop_path_rate=0.0)
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.05)
    theirs.double().train()  # which returns None in mmdet
    ours = SwinTransformer(drop_path_rate=0.0).double()
    load_backbone_weights(ours, theirs.state_dict())
    image = make_image(*size)
    images = [image.clone().requires_grad_() for _ in range(2)]
    maps = [model(x) for model, x in zip((theirs, ours), images)]
    for expected, actual in zip(*maps):
        assert_equal_to_definition(actual, expected)
    for outputs in maps:
        sum((x * x.detach().cos()).sum() for x in outputs).backward()
    assert_equal_to_definition(images[1].grad, images[0].grad, 'gradient of the image')
    pairs = {'patch_embed.proj.weight': 'patch_embed.projection.weight', 'norm3.weight': 'norm3.weight'}
    for index in (0, 1):
        block = f'stages.2.blocks.{index}'
        pairs[f'{block}.attn.qkv.bias'] = f'{block}.attn.w_msa.qkv.bias'
        name = 'relative_position_bias_table'
        pairs[f'{block}.attn.{name}'] = f'{block}.attn.w_msa.{name}'
    for our_name, their_name in pairs.items():
        actual, expected = ours.get_parameter(our_name).grad, theirs.get_parameter(their_name).grad
        assert_equal_to_definition(actual, expected, our_name)


@pytest.mark.parametrize('size', [(32, 32), (1, 1), (5, 70), (33, 65)], ids=str)
def test_maps_have_strides_4_to_32_at_any_size(size):
    maps = small()(torch.randn(2, 3, *size))
    for index, x in enumerate(maps):
        stride = 4 * 2**index
        assert x.shape == (2, 16 * 2**index, -(-size[0] // stride), -(-size[1] // stride))
        assert x.is_contiguous()


@pytest.mark.parametrize('dtype', [None, torch.bfloat16], ids=str)
def test_maps_have_the_dtype_of_autocast(dtype):
    """As of any backbone that ends in a convolution; their values are those of mmdet's, rounded."""
    with torch.autocast('cpu', dtype, enabled=dtype is not None):
        maps = small()(torch.randn(2, 3, 64, 64))
    assert {x.dtype for x in maps} == {dtype or torch.float32}


def test_an_empty_batch_passes_and_every_parameter_gets_a_gradient():
    model = small()
    sum(x.sum() for x in model(torch.randn(0, 3, 64, 64))).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize(('arch', 'millions'), [('tiny', 28), ('small', 50), ('base', 88), ('large', 197)])
def test_a_variant_has_the_papers_number_of_parameters(arch, millions):
    """Paper, table 1: with a classifier of 1000 classes on the last stage, and one output norm."""
    with torch.device('meta'):
        model = SwinTransformer(arch=arch, out_indices=(3,))
    dims = VARIANTS[arch].embed_dims * 8
    classifier = dims * 1000 + 1000
    count = sum(parameter.numel() for parameter in model.parameters()) + classifier
    assert round(count / 1e6) == millions


def test_an_architecture_may_be_given_in_three_ways():
    ways = [{'arch': SMALL}, SMALL, {'arch': None, **SMALL}]
    shapes = [{k: v.shape for k, v in SwinTransformer(**way).state_dict().items()} for way in ways]
    assert shapes[0] == shapes[1] == shapes[2]


@pytest.mark.parametrize('out_indices', [(0, 1, 2, 3), (1, 2), (0,), (3,)], ids=str)
@pytest.mark.parametrize('use_abs_pos_embed', [False, True])
def test_no_parameter_is_unused(out_indices, use_abs_pos_embed):
    model = small(out_indices=out_indices, use_abs_pos_embed=use_abs_pos_embed).train()
    maps = model(torch.randn(1, 3, 40, 40))
    assert len(maps) == len(out_indices)
    sum(x.pow(2).sum() for x in maps).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_out_indices_choose_among_the_same_maps():
    everything = small().eval()
    some = small(out_indices=(1, 3)).eval()
    some.load_state_dict({k: v for k, v in everything.state_dict().items() if k in some.state_dict()})
    image = torch.randn(1, 3, 64, 96)
    maps = everything(image)
    for expected, actual in zip((maps[1], maps[3]), some(image)):
        assert torch.equal(expected, actual)


def frozen_names(model):
    return {name for name, parameter in model.named_parameters() if not parameter.requires_grad}


@pytest.mark.parametrize('frozen_stages', [-1, 0, 1, 3, 4])
def test_frozen_stages_mean_what_they_mean_in_mmdet(frozen_stages):
    """k freezes the patch embedding and stages 0..k-1, with the output norms and mergings that belong to them."""
    model = small(frozen_stages=frozen_stages, use_abs_pos_embed=True)
    prefixes = ('patch_embed.', 'absolute_pos_embed') if frozen_stages >= 0 else ()
    prefixes += tuple(f'{kind}{stage}.' for stage in range(frozen_stages) for kind in ('stages.', 'norm'))
    assert frozen_names(model) == {name for name, _ in model.named_parameters() if name.startswith(prefixes)}


def test_freezing_survives_train_and_both_switches_return_self():
    model = small(frozen_stages=2, drop_path_rate=0.5)
    assert model.eval() is model
    assert model.train() is model
    assert not any(module.training for stage in (0, 1) for module in model.stages[stage].modules())
    assert all(module.training for stage in (2, 3) for module in model.stages[stage].modules())
    assert frozen_names(model) == frozen_names(small(frozen_stages=2))


def test_the_log_states_how_many_parameters_train(caplog):
    from mmengine.logging import MMLogger

    MMLogger.get_current_instance().addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO):
            model = small(frozen_stages=3)
    finally:
        MMLogger.get_current_instance().removeHandler(caplog.handler)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    assert f'{trained:,} of {total:,} parameters train' in caplog.text


@pytest.mark.parametrize('frozen_stages', [-1, 1])
@pytest.mark.parametrize('with_cp', [True, (0, 2)], ids=str)
def test_checkpointing_changes_no_output_and_no_gradient(with_cp, frozen_stages):
    image = torch.randn(2, 3, 64, 48)
    results = []
    for option in (False, with_cp):
        model = small(with_cp=option, frozen_stages=frozen_stages, drop_path_rate=0.3).train()
        torch.manual_seed(1)
        maps = model(image)
        sum(x.pow(2).sum() for x in maps).backward()
        results.append([*maps, *(p.grad for p in model.parameters() if p.requires_grad)])
    for plain, checkpointed in zip(*results):
        assert torch.equal(plain, checkpointed)


def saved_bytes(model, image):
    saved = []

    def pack(x):
        saved.append(x.numel() * x.element_size())
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        model(image)
    return sum(saved)


def test_checkpointing_keeps_fewer_activations_and_per_stage_lies_between():
    image = torch.randn(1, 3, 64, 64)
    nothing, first, everything = (saved_bytes(small(with_cp=option), image) for option in (False, (0,), True))
    assert everything < 0.5 * nothing
    assert everything < first < nothing


def test_shift_masks_are_computed_once_per_size():
    shift_mask.cache_clear()
    model = small(arch={**SMALL, 'depths': (4, 2, 2, 2)}, embed_dims=None, depths=None, num_heads=None)
    for _ in range(3):
        model(torch.randn(1, 3, 96, 96))
    # one shifted size for each stage: 28, 14, 7 and 7 tokens after padding, the last two being equal
    assert shift_mask.cache_info().misses == 3


def test_nothing_computable_is_stored():
    names = set(small(use_abs_pos_embed=True).state_dict())
    assert names == {name for name, _ in small(use_abs_pos_embed=True).named_parameters()}


@pytest.mark.parametrize('size', [(224, 224), (96, 160)], ids=str)
def test_an_absolute_embedding_is_resized_bicubically(size):
    model = small(use_abs_pos_embed=True, depths=(1,), num_heads=(1,), out_indices=(0,)).eval()
    image = torch.randn(1, 3, *size)
    token = torch.randn(16)
    with torch.no_grad():
        before = model.patch_embed(image)
        # a constant embedding is constant at every size, and another size than the pretraining's must not fail
        model.absolute_pos_embed.copy_(token.view(1, -1, 1, 1).expand_as(model.absolute_pos_embed))
        seen = []
        model.stages[0].register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
        model(image)
    assert torch.allclose(seen[0], before + token, atol=1e-5)


def test_drop_path_keeps_the_mean_and_drops_whole_images():
    torch.manual_seed(0)
    scales = draw_branch_scales(torch.tensor([1.0, 0.75, 0.5]), 4000)
    assert scales.shape == (3, 4000)
    for row, expected in zip(scales, ({1.0}, {0.0, 4 / 3}, {0.0, 2.0}), strict=True):
        assert set(row.tolist()) == {torch.tensor(value).item() for value in expected}
        assert abs(row.mean() - 1) < 0.06
    # each branch and image on its own
    assert abs(torch.corrcoef(scales[1:])[0, 1]) < 0.06
    branch = scale_branch(torch.ones(4000, 2, 2, 3), scales[2])
    assert torch.equal(branch.amin((1, 2, 3)), scales[2])
    assert torch.equal(branch.amax((1, 2, 3)), scales[2])


def test_drop_path_grows_over_the_blocks_and_is_one_draw_a_step(monkeypatch):
    model = small(drop_path_rate=0.3).train()
    blocks = sum(len(stage.blocks) for stage in model.stages)
    rates = torch.linspace(0, 0.3, blocks).repeat_interleave(2)
    torch.testing.assert_close(model.branch_keep, 1 - rates)
    draws = []
    draw = torch.bernoulli
    monkeypatch.setattr(torch, 'bernoulli', lambda keep: draws.append(keep.shape) or draw(keep))
    model(torch.randn(3, 3, 32, 32))
    assert draws == [(2 * blocks, 3)]
    model.eval()(torch.randn(3, 3, 32, 32))
    assert len(draws) == 1


def test_initial_values_are_the_official_ones():
    torch.manual_seed(0)
    model = SwinTransformer(use_abs_pos_embed=True)
    for name, parameter in model.named_parameters():
        if 'patch_embed.proj' in name:
            continue
        if 'norm' in name:
            assert parameter.unique().tolist() == [float(name.endswith('weight'))], name
        elif name.endswith('bias'):
            assert not parameter.any(), name
        else:
            assert abs(parameter.std() - 0.02) < 0.002, name


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'arch': 'huge'}, "arch='huge' is unknown"),
        ({'arch': {'embed_dims': 8, 'depth': (1,)}}, r"arch has unknown keys \['depth'\]"),
        ({'arch': 'tiny', 'embed_dims': 96}, r"either arch='tiny' or \['embed_dims'\]"),
        ({'embed_dims': 96}, r"missing: \['depths', 'num_heads'\]"),
        ({'embed_dims': 10, 'depths': (2,), 'num_heads': (3,)}, 'embed_dims=10 gives stage 0 10 channels'),
        ({'embed_dims': 12, 'depths': (2, 2), 'num_heads': (3,)}, 'same number of stages'),
        ({'window_size': 0}, 'window_size=0'),
        ({'window_size': 7.5}, 'window_size=7.5'),
        ({'out_indices': (0, 4)}, r'out_indices=\(0, 4\)'),
        ({'out_indices': (1, 0)}, r'out_indices=\(1, 0\)'),
        ({'out_indices': ()}, r'out_indices=\(\)'),
        ({'frozen_stages': 5}, r'frozen_stages=5 must lie in -1 .. 4'),
        ({'frozen_stages': -2}, 'frozen_stages=-2'),
        ({'attn_backend': 'flash'}, "attn_backend='flash' is unknown"),
        ({'with_cp': (4,)}, r'with_cp=\(4,\)'),
        ({'drop_path_rate': 1.0}, 'drop_path_rate=1.0'),
        ({'in_channels': 0}, 'in_channels=0'),
    ],
    ids=str,
)
def test_a_bad_argument_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        SwinTransformer(**options)


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (torch.zeros(1, 4, 32, 32), 'in_channels=3'),
        (torch.zeros(3, 32, 32), r'got shape \(3, 32, 32\)'),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), 'torch.uint8'),
    ],
)
def test_a_bad_image_is_named(image, message):
    with pytest.raises(ValueError, match=message):
        small()(image)


def test_autocast_runs_in_bfloat16_with_float32_statistics():
    model = small().eval()
    image = torch.randn(1, 3, 64, 64)
    exact = model(image)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        halves = model(image)
    for full, half in zip(exact, halves):
        assert half.isfinite().all()
        assert (full - half.float()).abs().mean() < 0.05

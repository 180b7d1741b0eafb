"""torch.export of the backbones with free height and width, and a trace leaves nothing behind in a model."""

import pytest
import torch
from torch.export import Dim, export

from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from swin_mmdet.ops.relative_position import relative_position_index
from swin_mmdet.ops.shifted_window_attention.exported import gathered_attention
from swin_mmdet.ops.shifted_window_attention.reference import reference_attention
from swin_mmdet.ops.tracing import is_traced
from swin_mmdet.ops.windows import shift_mask

# blocks that shift and that do not, at maps of one window and of many
ARCH = {'embed_dims': 8, 'depths': (1, 2), 'num_heads': (1, 2), 'window_size': 10, 'out_indices': (0, 1)}
SIZES = ((64, 64), (64, 160), (192, 96), (256, 320))
BOTH = pytest.mark.parametrize('cls', [SwinTransformer, SwinTransformerV2])


def make(cls, backend='auto', **options):
    torch.manual_seed(0)
    model = cls(**ARCH, attn_backend=backend, **options).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=float(name.endswith('norm.weight')), std=0.2)
    return model


def image(size):
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(sum(size)))


@pytest.fixture(autouse=True)
def _nothing_kept():
    shift_mask.cache_clear()
    relative_position_index.cache_clear()


@pytest.mark.parametrize('shift_size', [0, 2])
@pytest.mark.parametrize('size', [(4, 4), (3, 2), (9, 14), (1, 8)], ids=str)
@pytest.mark.parametrize('cosine', [False, True])
@pytest.mark.parametrize('through_sdpa', [False, True])
def test_the_gathered_formula_is_the_reference(shift_size, size, cosine, through_sdpa):
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(2, *size, 24, generator=generator, dtype=torch.float64)
    table = torch.randn(49, 2, generator=generator, dtype=torch.float64)
    pad = torch.randn(24, generator=generator, dtype=torch.float64)
    scale = torch.rand(2, generator=generator, dtype=torch.float64) if cosine else None
    for pad_value in (pad, None):
        arguments = qkv, table, pad_value, scale, 4, shift_size, 0.3, 0.0
        found = gathered_attention(*arguments, through_sdpa=through_sdpa)
        torch.testing.assert_close(found, reference_attention(*arguments), rtol=0, atol=1e-12)


@pytest.mark.parametrize(('cls', 'backend'), [(SwinTransformer, 'auto'), (SwinTransformerV2, 'reference')])
def test_one_program_serves_every_size(cls, backend):
    """Multiples of 32 from 64 on; and the model is what it was before the export."""
    model = make(cls, backend)
    with torch.no_grad():
        before = {size: model(image(size)) for size in SIZES[:2]}
    sides = {axis: 32 * Dim(name, min=2, max=64) for axis, name in ((2, 'h'), (3, 'w'))}
    program = export(model, (image((96, 128)),), dynamic_shapes=(sides,)).module()
    with torch.no_grad():
        for size in SIZES:
            for found, expected in zip(program(image(size)), model(image(size)), strict=True):
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * expected.abs().max().item())
        for size, expected in before.items():
            assert all(torch.equal(one, other) for one, other in zip(model(image(size)), expected, strict=True))


def trace_by_export(model, example):
    export(model, (example,))


def trace_by_jit(model, example):
    torch.jit.trace(model, example, check_trace=False)


def trace_by_fake_tensors(model, example):
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        model(torch.empty_like(example))


def trace_by_functorch(model, example):
    torch.func.grad(lambda x: sum(y.sum() for y in model(x)))(example)


TRACES = [trace_by_export, trace_by_jit, trace_by_fake_tensors, trace_by_functorch]


@pytest.mark.parametrize('trace', TRACES, ids=lambda trace: trace.__name__)
@BOTH
def test_a_trace_leaves_nothing_behind(cls, trace):
    """In training too: what a trace made must not be read afterwards, and what is kept not be in a trace."""
    model, example = make(cls, 'auto', drop_path_rate=0.0), image((64, 80))
    trace(model, example)
    for kept in (shift_mask, relative_position_index):
        assert kept.cache_info().currsize == 0
    found = model.train()(example)
    expected = make(cls, 'auto', drop_path_rate=0.0).train()(example)
    sum(x.sum() for x in found).backward()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert all(parameter.grad is not None for parameter in model.parameters())
    model.eval()
    trace(model, example)
    assert not is_traced()


def test_no_constant_of_a_program_was_kept_before():
    """What was made outside would be a weight of the program, in its file as well."""
    model = make(SwinTransformer)
    model(image((64, 80)))
    program = export(model, (image((64, 80)),))
    assert set(program.constants) <= {name for name, _ in model.named_buffers()}

"""A dynamic head's operations: the kernels against the reference in float64, which tests/necks holds to mmdet's."""

import pytest
import torch

from swin_mmdet.ops.dynamic_head import KINDS, Levels, blend_levels, convolve_levels, segment_moments
from swin_mmdet.ops.dynamic_head.levels import OFFSET_CHANNELS
from tests.numerics import assert_model_no_worse_than_eager

pytest.importorskip('triton')
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# the interpreter computes with numpy, which has no bfloat16
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (DEVICE == 'cuda')
# three levels, a row of one pixel, the only level
CASES = [Levels(2, ((5, 6), (3, 3), (2, 2))), Levels(1, ((2, 1), (1, 1))), Levels(2, ((3, 2),))]
CHANNELS, OUTS = 6, 5
ALL = pytest.mark.parametrize('levels', CASES, ids=str)
OF_TYPES = pytest.mark.parametrize('dtype', DTYPES, ids=str)


def leaves(*shapes, dtype):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).to(DEVICE, dtype).requires_grad_() for shape in shapes]


def gradients(outs, inputs):
    loss = sum((out * torch.linspace(-1, 1, out.numel(), device=DEVICE).view(out.shape).cos()).sum() for out in outs)
    return [*(x.detach() for x in outs), *torch.autograd.grad(loss, inputs, materialize_grads=True)]


def judge(run, inputs, dtype):
    """The kernels no worse than the reference in the same dtype; `run(inputs, backend)` gives tensors."""
    exact = [x.detach().double().requires_grad_() for x in inputs]
    truth = gradients(run(exact, 'reference'), exact)
    eager = gradients(run(inputs, 'reference'), inputs)
    found = gradients(run(inputs, 'triton'), inputs)
    assert [x.dtype for x in found] == [x.dtype for x in eager]
    found, eager, truth = ([x for x in some if x.numel()] for some in (found, eager, truth))
    assert_model_no_worse_than_eager(found, eager, truth, dtype, factor=2.0 if dtype == torch.float32 else 4.0)


@ALL
@OF_TYPES
def test_convolutions(levels, dtype):
    rows, offsets, *weights = leaves(
        (sum(levels.counts()), CHANNELS), (sum(levels.counts()), OFFSET_CHANNELS),
        *[(OUTS, CHANNELS, 3, 3)] * len(KINDS), dtype=dtype,
    )  # fmt: skip
    with torch.no_grad():
        # on a pixel's center the gradient of a place is a matter of taste: none is there, nor gets there by rounding
        offsets[:, :18] = (offsets[:, :18] * 8).round() / 8 + 1 / 16
    judge(
        lambda x, backend: [convolve_levels(x[0], x[1], x[2:], levels, backend=backend)],
        [rows, offsets, *weights],
        dtype,
    )


@OF_TYPES
@pytest.mark.parametrize('segments', [(1, 70, 3), (64,), (65, 2)], ids=str)
def test_moments(segments, dtype):
    """Sums are float32 in either dtype, and the gradient has that of the rows.

    The numbers spread by 1, squares about a segment's first row reach 10.
    """
    (rows,) = leaves((sum(segments), 70), dtype=dtype)
    exact = rows.detach().double().requires_grad_()
    truth = gradients(segment_moments(exact, segments, backend='reference'), [exact])
    found = gradients(segment_moments(rows, segments, backend='triton'), [rows])
    assert [x.dtype for x in found] == [torch.float32, torch.float32, dtype]
    for one, true in zip(found, truth, strict=True):
        torch.testing.assert_close(one.double(), true, rtol=torch.finfo(one.dtype).eps, atol=1e-5)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_the_references_sums_are_float32_at_least(dtype):
    rows = torch.randn(70, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    mean, variance = segment_moments(rows, (50, 20), backend='reference')
    assert mean.dtype == variance.dtype == torch.promote_types(dtype, torch.float32)
    for one, part in enumerate(rows.double().split((50, 20))):
        torch.testing.assert_close(mean[one].double(), part.mean(0), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(variance[one].double(), part.var(0, correction=0), rtol=1e-5, atol=1e-6)


def test_moments_far_from_zero():
    """Squares of what is a thousand times the spread have no digits left for it."""
    (rows,) = leaves((150, 3), dtype=torch.float64)
    rows = rows.detach() + 1000
    mean, variance = segment_moments(rows.float(), (50, 100), backend='triton')
    for one, part in enumerate(rows.float().double().split((50, 100))):
        torch.testing.assert_close(mean[one].double(), part.mean(0), rtol=1e-7, atol=0)
        torch.testing.assert_close(variance[one].double(), part.var(0, correction=0), rtol=1e-4, atol=0)


@ALL
@OF_TYPES
def test_blends(levels, dtype):
    counts = levels.counts()
    results, enlarged = leaves(
        (sum(map(sum, levels.results())), OUTS), (sum(counts[:-1]), OUTS), dtype=dtype
    )
    (coefficients,) = leaves((8, levels.batch * len(counts), OUTS), dtype=torch.float32)
    judge(
        lambda x, backend: [blend_levels(*x, levels, backend=backend)], [results, enlarged, coefficients], dtype
    )


@pytest.mark.parametrize('backend', ['triton', 'reference'])
def test_two_equal_lines_share_the_gradient(backend):
    """As `torch.max` of two tensors has it."""
    levels = Levels(1, ((1, 1),))
    results = torch.tensor([[2.0]], device=DEVICE, requires_grad=True)
    lines = torch.tensor([1.0, 0, 0, 0, 3, 1, 3, 1], device=DEVICE).view(8, 1, 1).requires_grad_()
    out = blend_levels(results, results.new_empty(0, 1), lines, levels, backend=backend)
    dresults, dlines = torch.autograd.grad(out.sum(), [results, lines])
    assert out.item() == 7
    assert dresults.item() == 3
    assert dlines.flatten().tolist() == [6, 0, 0, 3, 1, 0.5, 1, 0.5]


def test_what_is_no_number_is_nowhere():
    levels = CASES[0]
    rows, offsets, *weights = leaves(
        (sum(levels.counts()), CHANNELS), (sum(levels.counts()), OFFSET_CHANNELS),
        *[(OUTS, CHANNELS, 3, 3)] * len(KINDS), dtype=torch.float32,
    )  # fmt: skip
    offsets = offsets.detach()
    offsets[:, :18] = float('nan')
    offsets[:, 18:] = 0
    out = convolve_levels(rows, offsets, weights, levels, backend='triton')
    assert not out.any()


@pytest.mark.parametrize(
    ('run', 'message'),
    [
        (lambda x: convolve_levels(x, x, [x.new_empty(1, 4, 3, 3)] * 3, CASES[2]), r'rows must be \[12, 4\], got'),
        (
            lambda x: convolve_levels(x[:, :4], x, [x.new_empty(1, 4, 3, 3)] * 3, CASES[2]),
            r'offsets must be \[12, 27\], got \[12, 26\]',
        ),
        (lambda x: segment_moments(x, (6, 0, 6)), r'segments of \(6, 0, 6\) rows, none empty, are not 12 rows'),
        (lambda x: segment_moments(x, (6, 5)), r'segments of \(6, 5\) rows'),
    ],
    ids=['rows', 'offsets', 'empty', 'sum'],
)
def test_what_does_not_fit_is_named(run, message):
    with pytest.raises(ValueError, match=message):
        run(torch.zeros(12, 26, device=DEVICE))

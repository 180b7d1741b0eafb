"""Deformable attention: each backend against the definition in float64, sample by sample."""

import math

import pytest
import torch

from swin_mmdet.ops.deformable_attention import deformable_attention, sample_levels
from swin_mmdet.ops.deformable_attention.backends import BACKENDS
from swin_mmdet.ops.deformable_attention.bags import embedding_bag_attention
from swin_mmdet.ops.deformable_attention.exported import exported_attention
from swin_mmdet.ops.deformable_attention.locations import locate
from tests.numerics import assert_model_no_worse_than_eager

pytest.importorskip('triton')
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# the interpreter computes with numpy, which has no bfloat16
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (DEVICE == 'cuda')
FAST = [backend.name for backend in BACKENDS]
SHAPES = ((4, 6), (2, 3), (1, 1))

fast = pytest.mark.parametrize('backend', FAST)
dtypes = pytest.mark.parametrize('dtype', DTYPES, ids=str)
kinds = pytest.mark.parametrize('numbers', [2, 4], ids=['points', 'boxes'])


def pyramid(shapes=SHAPES):
    sizes = torch.tensor(shapes, device=DEVICE).view(-1, 2)
    return sizes, torch.cat([sizes.new_zeros(1), sizes.prod(1).cumsum(0)])[:-1]


def leaves(numbers, dtype, *, batch=2, queries=5, heads=2, dim=16, points=3, shapes=SHAPES):
    """Value, reference points, offsets and logits; some samples are outside, some between the border and outside."""
    generator = torch.Generator().manual_seed(0)

    def random(*sizes):
        return torch.randn(*sizes, generator=generator)

    levels, pixels = len(shapes), sum(h * w for h, w in shapes)
    reference = torch.rand(batch, queries, levels, numbers, generator=generator) * 1.4 - 0.2
    reference[..., 2:] = reference[..., 2:].abs() + 0.1
    value = random(batch, pixels, heads, dim)
    offsets = random(batch, queries, heads, levels, points, 2) * (2 if numbers == 2 else points)
    logits = random(batch, queries, heads, levels * points) * 2
    # reference points stay float32 in mixed precision
    made = [value.to(dtype), reference, offsets.to(dtype), logits.to(dtype)]
    return [x.to(DEVICE).requires_grad_() for x in made]


def by_definition(value, shapes, reference, offsets, logits):
    """Equation 3 of arXiv 2010.04159 in float64, in loops."""
    value, reference, offsets, logits = (x.double().cpu() for x in (value, reference, offsets, logits))
    batch, queries, heads, levels, points, _ = offsets.shape
    rows = []
    for b, q, h in ((b, q, h) for b in range(batch) for q in range(queries) for h in range(heads)):
        weights = logits[b, q, h].softmax(0).view(levels, points)
        total, first = torch.zeros(value.shape[3], dtype=torch.float64), 0
        for level, (height, width) in enumerate(shapes):
            image = value[b, first : first + height * width, h].view(height, width, -1)
            first += height * width
            for point in range(points):
                center, move = reference[b, q, level, :2], offsets[b, q, h, level, point]
                if reference.shape[-1] == 2:
                    x, y = center * torch.tensor([width, height]) + move - 0.5
                else:
                    size = reference[b, q, level, 2:]
                    x, y = (center + move * size / (2 * points)) * torch.tensor([width, height]) - 0.5
                left, top = math.floor(x.item()), math.floor(y.item())
                for column in (left, left + 1):
                    for row in (top, top + 1):
                        if 0 <= column < width and 0 <= row < height:
                            share = (1 - (x - column).abs()) * (1 - (y - row).abs())
                            total = total + weights[level, point] * share * image[row, column]
        rows.append(total)
    return torch.stack(rows).view(batch, queries, -1).to(DEVICE)


def gradients(run, inputs):
    """Output and gradients for a gradient that differs everywhere."""
    out = run(*inputs)
    grad = torch.linspace(-1, 1, out.numel(), device=DEVICE).view(out.shape).cos()
    return [out.detach(), *torch.autograd.grad(out, inputs, grad.to(out.dtype))]


@kinds
def test_the_reference_is_the_papers_equation(numbers):
    inputs = [x.detach().double().requires_grad_() for x in leaves(numbers, torch.float32, queries=3)]
    found = gradients(lambda v, r, o, g: deformable_attention(v, *pyramid(), r, o, g, backend='reference'), inputs)
    expected = gradients(lambda v, r, o, g: by_definition(v, SHAPES, r, o, g), inputs)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@fast
@dtypes
@kinds
def test_values_and_gradients_are_no_worse_than_the_references(numbers, dtype, backend):
    inputs = leaves(numbers, dtype)
    exact = [x.detach().to(torch.float64).requires_grad_() for x in inputs]

    def run(name):
        return lambda v, r, o, g: deformable_attention(v, *pyramid(), r, o, g, backend=name)

    truth, eager, found = (
        gradients(run(name), x) for name, x in (('reference', exact), ('reference', inputs), (backend, inputs))
    )
    assert [x.dtype for x in found] == [dtype, dtype, torch.float32, dtype, dtype]
    assert_model_no_worse_than_eager(found, eager, truth, dtype)


@fast
@pytest.mark.parametrize(
    'sizes',
    [
        dict(dim=24, heads=1),
        dict(dim=64, heads=1, points=1),
        dict(dim=32, heads=3, points=5, shapes=((3, 2),)),
        dict(shapes=((2, 3), (0, 4), (1, 5))),
        dict(queries=0),
        dict(batch=0),
        dict(queries=19, heads=1),
    ],
    ids=str,
)
def test_any_size(sizes, backend):
    shapes = sizes.get('shapes', SHAPES)
    inputs = leaves(2, torch.float32, **sizes)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    truth, found = (
        gradients(lambda v, r, o, g, name=name: deformable_attention(v, *pyramid(shapes), r, o, g, backend=name), x)
        for name, x in (('reference', exact), (backend, inputs))
    )
    for one, true in zip(found, truth, strict=True):
        assert one.shape == true.shape
        torch.testing.assert_close(one.double(), true, rtol=1e-4, atol=1e-5)


@fast
def test_given_locations_and_weights_are_read_as_they_are(backend):
    value, reference, offsets, logits = leaves(2, torch.float32)
    locations = locate(pyramid()[0], offsets.detach(), reference.detach()).requires_grad_()
    weights = logits.detach().view(offsets.shape[:-1]).requires_grad_()
    inputs = value, locations, weights
    exact = [x.detach().double().requires_grad_() for x in inputs]
    truth, found = (
        gradients(lambda v, p, w, name=name: sample_levels(v, *pyramid(), p, w, backend=name), x)
        for name, x in (('reference', exact), (backend, inputs))
    )
    for one, true in zip(found, truth, strict=True):
        torch.testing.assert_close(one.double(), true, rtol=1e-4, atol=1e-5)


@fast
def test_places_on_centers_borders_and_nowhere(backend):
    """x of: a center, both ends of the row, the middle between a border pixel and outside, just outside, no number."""
    value = torch.arange(1.0, 5, device=DEVICE).view(1, 4, 1, 1).repeat(1, 1, 1, 16)
    x = torch.tensor([0.125, 0.0, 1.0, -0.125, 1.125, -0.2, float('nan'), float('inf')], device=DEVICE)
    locations = torch.stack([x, torch.full_like(x, 0.5)], -1).view(1, 8, 1, 1, 1, 2)
    weights = torch.ones(1, 8, 1, 1, 1, device=DEVICE)
    found = sample_levels(value, *pyramid(((1, 4),)), locations, weights, backend=backend)[0, :, 0]
    expected = torch.tensor([1.0, 0.5, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0], device=DEVICE)
    if backend == 'reference':  # of places that are no number PyTorch says nothing
        found, expected = found[:6], expected[:6]
    torch.testing.assert_close(found, expected)


def test_places_of_half_precision_are_not_rounded_further():
    """A query in the middle of a wide map: in bfloat16 its place would be off by more than a pixel."""
    width = 999
    value = torch.arange(width, dtype=torch.float32, device=DEVICE).view(1, width, 1, 1).repeat(1, 1, 1, 16)
    reference = ((torch.tensor([700.0], device=DEVICE) + 0.5) / width).view(1, 1, 1, 1).repeat(1, 1, 1, 2)
    reference[..., 1] = 0.5
    offsets = torch.full((1, 1, 1, 1, 1, 2), 0.25, device=DEVICE, dtype=torch.float16) * torch.tensor([1.0, 0.0]).to(
        DEVICE, torch.float16
    )
    logits = torch.zeros(1, 1, 1, 1, device=DEVICE, dtype=torch.float16)
    for backend in FAST:
        found = deformable_attention(value, *pyramid(((1, width),)), reference, offsets, logits, backend=backend)
        torch.testing.assert_close(found[0, 0, 0].item(), 700.25, rtol=1e-6, atol=0)


def test_bags_that_hold_too_much_are_parted():
    inputs = leaves(2, torch.float64, queries=7)
    value, reference, offsets, logits = inputs
    every = (value, *pyramid(), offsets, logits, reference)
    whole = embedding_bag_attention(*every)
    # of 4 corners x 3 levels x 3 points x 16 channels: two queries at a time
    parts = embedding_bag_attention(*every, max_numbers=4 * 2 * 9 * 16 * 2)
    torch.testing.assert_close(parts, whole, rtol=0, atol=0)


def test_the_operator_is_a_good_citizen():
    from swin_mmdet.ops.deformable_attention.triton_op import _forward

    value, reference, offsets, logits = leaves(2, torch.float32, batch=1, queries=2, heads=1)
    for last in (reference, None):
        inputs = value, *pyramid(), offsets, logits, last
        checks = ('test_schema', 'test_faketensor', 'test_autograd_registration')
        torch.library.opcheck(_forward, inputs, test_utils=checks)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(value=torch.zeros(2, 31, 32)), 'value must be .B, S, h, d.'),
        (dict(offsets=torch.zeros(2, 5, 2, 3, 3)), 'offsets must be'),
        (dict(offsets=torch.zeros(2, 5, 4, 3, 3, 2)), '2 images and 4 heads, value has 2 and 2'),
        (dict(shapes=torch.tensor([[4, 6], [2, 3]])), r'spatial_shapes must be \[3, 2\]'),
        (dict(logits=torch.zeros(2, 5, 2, 8)), r'logits must be \[2, 5, 2, 9\]'),
        (dict(reference=torch.zeros(2, 5, 3, 3)), 'reference_points must be'),
        (dict(backend='cuda'), "backend='cuda' is unknown"),
    ],
    ids=lambda x: x if isinstance(x, str) else '',
)
def test_what_does_not_fit_is_named(change, message):
    value, reference, offsets, logits = leaves(2, torch.float32)
    shapes, starts = pyramid()
    given = dict(value=value, shapes=shapes, reference=reference, offsets=offsets, logits=logits, backend='auto')
    given |= {name: x.to(DEVICE) if isinstance(x, torch.Tensor) else x for name, x in change.items()}
    with pytest.raises(ValueError, match=message):
        deformable_attention(
            given['value'], given['shapes'], starts, given['reference'], given['offsets'], given['logits'],
            backend=given['backend'],
        )  # fmt: skip


def test_triton_says_why_it_refuses():
    with pytest.raises(ValueError, match='head_dim=80 is more than 64'):
        deformable_attention(*_some(dim=80), backend='triton')
    with pytest.raises(ValueError, match='float64'):
        deformable_attention(*_some(dtype=torch.float64), backend='triton')


def _some(dtype=torch.float32, **sizes):
    value, reference, offsets, logits = leaves(2, dtype, batch=1, queries=1, **sizes)
    return value, *pyramid(), reference, offsets, logits


@pytest.mark.skipif(DEVICE == 'cpu', reason='takes 20 GB of a GPU')
def test_more_than_two_to_the_31_numbers():
    """The last pixels and queries of what 32 bits cannot count are as those of a part of it."""
    heads, dim, width = 8, 32, 4096
    height = 2**31 // (heads * dim * width) + 8
    value = torch.zeros(1, height * width, heads, dim, device=DEVICE, dtype=torch.bfloat16)
    last = torch.randn(8 * width, heads, dim, device=DEVICE).bfloat16()
    value[0, -8 * width :] = last
    value.requires_grad_()
    queries = 64
    generator = torch.Generator(DEVICE).manual_seed(0)
    offsets = torch.randn(1, queries, heads, 1, 4, 2, device=DEVICE, generator=generator)
    logits = torch.randn(1, queries, heads, 4, device=DEVICE, generator=generator)
    x = torch.rand(queries, device=DEVICE, generator=generator)
    reference = torch.stack([x, torch.full_like(x, (height - 3) / height)], -1)[None, :, None]
    found = deformable_attention(value, *pyramid(((height, width),)), reference, offsets, logits, backend='triton')
    found.sum().backward()
    part = last[None].clone().requires_grad_()
    reference = torch.stack([x, torch.full_like(x, 5 / 8)], -1)[None, :, None]
    expected = deformable_attention(part, *pyramid(((8, width),)), reference, offsets, logits, backend='reference')
    expected.sum().backward()
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
    torch.testing.assert_close(value.grad[:, -8 * width :], part.grad, rtol=0.02, atol=0.02)
    assert not value.grad[:, : -8 * width].any()


@kinds
def test_what_programs_have_in_its_place_is_the_same(numbers):
    value, reference, offsets, logits = (x.detach() for x in leaves(numbers, torch.float32))
    found = exported_attention(value, SHAPES, reference, offsets, logits)
    expected = by_definition(value, SHAPES, reference, offsets, logits)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)

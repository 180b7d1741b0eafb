"""The fused halves of a block against plain PyTorch, on a GPU or through Triton's interpreter (tests/conftest.py)."""

import pytest
import torch
import torch.nn.functional as F

from swin_mmdet.models.patch_merging import join_neighbours
from swin_mmdet.ops.residual_branch import Branch, Norm, in_dtype, merging, mlp_branch, output_norm
from tests.numerics import assert_mostly_no_worse_than_eager, assert_no_worse_than_eager

pytest.importorskip('triton')
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# the interpreter computes with numpy, which has no bfloat16
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (DEVICE == 'cuda')
TRUTH = {torch.float32: torch.float64, torch.float16: torch.float32, torch.bfloat16: torch.float32}
EPS = 1e-5
# batch, height, width, channels: odd sides, one pixel, more tokens than a tile, channels that are no power of two
# numbers of a map
FEW = 100
SHAPES = [(2, 7, 9, 96), (1, 1, 1, 16), (3, 5, 4, 48), (2, 20, 21, 32), (1, 3, 2, 640)]


def random(*shape, seed=0, size=1.0):
    return size * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain_branch(x, values, bias, scale):
    return x + (values + bias.to(values.dtype)) * scale.to(values.dtype)[:, None, None, None]


def plain_output_norm(x, values, bias, scale, weight, norm_bias):
    x = plain_branch(x, values, bias, scale)
    out = F.layer_norm(x, x.shape[-1:], weight.to(x.dtype), norm_bias.to(x.dtype), EPS)
    return x, out.permute(0, 3, 1, 2).contiguous()


def plain_merging(x, weight, bias, reduction):
    x = join_neighbours(x)
    x = F.layer_norm(x, x.shape[-1:], weight.to(x.dtype), bias.to(x.dtype), EPS)
    return (F.linear(x, reduction.to(x.dtype)),)


def plain_mlp(x, values, bias, scale, weight, norm_bias, fc1, fc1_bias, fc2):
    x = plain_branch(x, values, bias, scale)
    y = F.layer_norm(x, x.shape[-1:], weight.to(x.dtype), norm_bias.to(x.dtype), EPS).to(values.dtype)
    y = F.gelu(F.linear(y, fc1.to(y.dtype), fc1_bias.to(y.dtype)))
    return x, F.linear(y, fc2.to(y.dtype))


def operation(name, shape):
    """The plain and the fused function of one list of tensors, and those: maps first, then parameters."""
    batch, *_, channels = shape
    x, values = random(*shape), random(*shape, seed=1)
    scale = torch.tensor([0.0, 1.25, 2.0])[-batch:]
    bias, norm_bias = (random(channels, seed=seed) for seed in (2, 3))
    weight = 1 + random(channels, seed=4, size=0.3)
    maps = [x, values]
    if name.startswith('output_norm'):
        parameters = [bias, scale, weight, norm_bias]
        channels_last = name != 'output_norm'

        def fused(x, values, bias, scale, weight, norm_bias):
            branch, norm = Branch(values, bias, scale), Norm(weight, norm_bias, EPS)
            return output_norm(x, branch, norm, x.dtype, channels_last=channels_last)

        return plain_output_norm, fused, maps, parameters
    if name == 'merging':
        parameters = [
            1 + random(4 * channels, seed=4, size=0.3),
            random(4 * channels, seed=5),
            random(2 * channels, 4 * channels, seed=6, size=channels**-0.5 / 2),
        ]

        def fused(x, weight, bias, reduction):
            return (merging(x, Norm(weight, bias, EPS), reduction, *in_dtype([reduction], x.dtype)),)

        return plain_merging, fused, [x], parameters
    hidden = [random(4 * channels, channels, seed=6, size=channels**-0.5), random(4 * channels, seed=7)]
    parameters = [bias, scale, weight, norm_bias, *hidden, random(channels, 4 * channels, seed=8, size=channels**-0.5)]

    def fused(x, values, bias, scale, weight, norm_bias, fc1, fc1_bias, fc2):
        branch = Branch(values, bias, scale)
        copies = in_dtype([fc1, fc2], values.dtype)
        return mlp_branch(x, branch, Norm(weight, norm_bias, EPS), fc1, fc1_bias, fc2, copies)

    return plain_mlp, fused, maps, parameters


def run(function, maps, parameters, map_dtype, parameter_dtype):
    """Outputs and gradients by place."""
    leaves = [tensor.to(DEVICE, map_dtype, copy=True).requires_grad_() for tensor in maps]
    leaves += [tensor.to(DEVICE, parameter_dtype, copy=True).requires_grad_() for tensor in parameters]
    outs = function(*leaves)
    noise = [random(*out.shape, seed=20 + place).to(DEVICE, out.dtype) for place, out in enumerate(outs)]
    torch.autograd.backward(outs, noise)
    # the scale of stochastic depth is no parameter
    grads = [leaf.grad for leaf in leaves if leaf.dim() != 1 or len(leaf) != maps[0].shape[0] or len(maps) == 1]
    return [*(out.detach() for out in outs), *grads]


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('name', ['output_norm', 'output_norm, channels last', 'merging', 'mlp_branch'])
def test_outputs_and_gradients_are_no_worse_than_eager(name, shape, dtype):
    """Of few numbers the largest error is a noisy figure, of each processor another: several draws of those."""
    plain, fused, maps, parameters = operation(name, shape)
    draws = []
    for draw in range(5 if maps[0].numel() < FEW else 1):
        if draw:
            maps = [random(*x.shape, seed=100 * draw + place) if x.dim() > 1 else x for place, x in enumerate(maps)]
        rounded, weights = ([tensor.to(dtype).float() for tensor in tensors] for tensors in (maps, parameters))
        truth = run(plain, rounded, weights, TRUTH[dtype], TRUTH[dtype])
        eager = run(plain, rounded, weights, dtype, dtype)
        # parameters stay float32, as under autocast
        found = run(fused, rounded, weights, dtype, torch.float32)
        assert [x.shape for x in found] == [x.shape for x in truth]
        assert all(torch.isfinite(x).all() for x in found)
        draws.append((([x.to(dtype) for x in found]), eager, truth))
    for place in range(len(draws[0][0])):
        values = ([one[which][place] for one in draws] for which in range(3))
        if len(draws) == 1:
            assert_no_worse_than_eager(*(value for (value,) in values))
        else:
            assert_mostly_no_worse_than_eager(*values)

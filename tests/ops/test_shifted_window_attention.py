"""The op against the published definition in float64, each backend against the reference, and what it refuses."""

from collections import defaultdict

import pytest
import torch

from swin_mmdet.ops import shifted_window_attention
from tests.golden.definition import attention
from tests.numerics import assert_equal_to_definition, assert_no_worse_than_eager

BACKENDS = ('reference', 'sdpa', 'tiled')
FAST = BACKENDS[1:]
SIZES = [(14, 14), (16, 20), (3, 50), (7, 7), (1, 1)]


def make_case(size, window_size, heads, dtype, seed=0, batch=2, head_dim=8):
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape, scale=1.0):
        return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).to(dtype)

    dims = heads * head_dim
    return {
        'tokens': noise(batch, *size, dims),
        'weight': noise(3 * dims, dims, scale=dims**-0.5),
        'qkv_bias': noise(3 * dims, scale=0.7),
        'table': noise((2 * window_size - 1) ** 2, heads),
    }


def run(case, window_size, shift_size, backend):
    qkv = case['tokens'] @ case['weight'].T + case['qkv_bias']
    return shifted_window_attention(
        qkv,
        case['table'],
        window_size=window_size,
        shift_size=shift_size,
        pad_value=case['qkv_bias'],
        backend=backend,
    )


def with_cosine(case, window_size, shift_size, backend):
    """Cosine attention; queries, keys and values are given, not made of tokens."""
    return shifted_window_attention(
        case['qkv'],
        case['table'],
        window_size=window_size,
        shift_size=shift_size,
        cosine_scale=case['cosine_scale'],
        pad_value=case['pad'],
        backend=backend,
    )


def with_directions(case, window_size, shift_size):
    """The same by scaled attention, of queries and keys made unit vectors before."""
    heads = case['table'].shape[1]

    def directions(qkv):
        q, k, v = qkv.unflatten(-1, (3, heads, -1)).unbind(-3)
        q, k = (x / x.square().sum(-1, keepdim=True).sqrt().clamp(min=1e-12) for x in (q, k))
        return torch.stack([q * case['cosine_scale'][:, None], k, v], dim=-3).flatten(-3)

    return shifted_window_attention(
        directions(case['qkv']),
        case['table'],
        window_size=window_size,
        shift_size=shift_size,
        scale=1.0,
        pad_value=directions(case['pad']),
        backend='reference',
    )


def run_definition(case, window_size, shift_size):
    dims = case['tokens'].shape[-1]
    parameters = {
        'attn.qkv.weight': case['weight'],
        'attn.qkv.bias': case['qkv_bias'],
        'attn.relative_position_bias_table': case['table'],
        'attn.proj.weight': torch.eye(dims, dtype=case['tokens'].dtype),
        'attn.proj.bias': torch.zeros(dims, dtype=case['tokens'].dtype),
    }
    heads = case['table'].shape[1]
    return torch.stack([attention(x, parameters, 'attn', heads, window_size, shift_size) for x in case['tokens']])


def with_gradients(function, case, *args):
    leaves = {name: value.clone().requires_grad_() for name, value in case.items()}
    out = function(leaves, *args)
    noise = torch.randn(out.shape, generator=torch.Generator().manual_seed(9), dtype=torch.float64).to(out.dtype)
    (out * noise).sum().backward()
    return {'out': out.detach()} | {f'grad of {name}': value.grad for name, value in leaves.items()}


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('shift_size', [0, 3])
@pytest.mark.parametrize('size', SIZES, ids=str)
def test_output_and_gradients_equal_the_definition(size, shift_size, backend):
    case = make_case(size, 7, 3, torch.float64)
    expected = with_gradients(run_definition, case, 7, shift_size)
    actual = with_gradients(run, case, 7, shift_size, backend)
    for name, value in actual.items():
        assert_equal_to_definition(value, expected[name], name)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('shift_size', [0, 3])
def test_a_cosine_scale_stands_for_unit_queries_and_keys(shift_size, backend):
    case = make_case((9, 13), 7, 3, torch.float64)
    cosine = {'qkv': case['tokens'] @ case['weight'].T, 'table': case['table'], 'pad': case['qkv_bias']}
    cosine['cosine_scale'] = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
    expected = with_gradients(with_directions, cosine, 7, shift_size)
    for name, value in with_gradients(with_cosine, cosine, 7, shift_size, backend).items():
        assert_equal_to_definition(value, expected[name], name)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_a_key_of_length_zero_has_no_direction(dtype, backend):
    """SwinV2 has no bias of keys, so that its padding tokens are such: their cosines are 0, not NaN."""
    qkv = torch.zeros(1, 1, 1, 3 * 4, dtype=dtype)
    pad = torch.cat([torch.ones(4), torch.zeros(4), torch.full((4,), 9.0)]).to(dtype)
    table, scale = torch.zeros(25, 1, dtype=dtype), torch.full((1,), 100.0, dtype=dtype)
    out = shifted_window_attention(qkv, table, window_size=3, cosine_scale=scale, pad_value=pad, backend=backend)
    torch.testing.assert_close(out, torch.full_like(out, 8))


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(('window_size', 'shift_size'), [(1, 0), (2, 1), (8, 4), (12, 6), (5, 4)])
def test_any_window_and_shift_equal_the_definition(window_size, shift_size, backend):
    case = make_case((9, 13), window_size, 2, torch.float64)
    assert_equal_to_definition(
        run(case, window_size, shift_size, backend), run_definition(case, window_size, shift_size)
    )


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize('shift_size', [0, 3])
@pytest.mark.parametrize('backend', FAST)
def test_fast_backends_are_no_worse_than_the_reference_in_the_same_dtype(backend, shift_size, dtype):
    """Over several draws: the largest error of one is a noisy figure for a gradient that sums thousands of terms."""
    one_up = torch.float64 if dtype == torch.float32 else torch.float32
    truth, eager, fast = defaultdict(list), defaultdict(list), defaultdict(list)
    for seed in range(6):
        case = make_case((16, 20), 7, 3, dtype, seed)
        exact = {name: value.to(one_up) for name, value in case.items()}
        for found, result in (
            (truth, with_gradients(run, exact, 7, shift_size, 'reference')),
            (eager, with_gradients(run, case, 7, shift_size, 'reference')),
            (fast, with_gradients(run, case, 7, shift_size, backend)),
        ):
            for name, value in result.items():
                found[name].append(value.flatten())
    for name in truth:
        assert_no_worse_than_eager(torch.cat(fast[name]), torch.cat(eager[name]), torch.cat(truth[name]))


@pytest.mark.parametrize('backend', BACKENDS)
def test_padding_tokens_take_part_with_the_bias_of_the_qkv_layer(backend):
    """Padding qkv with zeros instead is another function: the issue's trap, off by more than rounding."""
    case = make_case((5, 5), 7, 2, torch.float64)
    qkv = case['tokens'] @ case['weight'].T + case['qkv_bias']
    zeros = shifted_window_attention(qkv, case['table'], window_size=7, backend=backend)
    assert (run(case, 7, 0, backend) - zeros).abs().max() > 0.1
    explicit = shifted_window_attention(
        qkv, case['table'], window_size=7, pad_value=torch.zeros(qkv.shape[-1], dtype=qkv.dtype), backend=backend
    )
    assert torch.equal(zeros, explicit)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('shift_size', [0, 3])
def test_an_empty_batch_gives_an_empty_map_and_zero_gradients(shift_size, backend):
    case = make_case((9, 9), 7, 2, torch.float32, batch=0)
    result = with_gradients(run, case, 7, shift_size, backend)
    assert result['out'].shape == (0, 9, 9, 16)
    assert not result['grad of table'].any()


@pytest.mark.parametrize('backend', BACKENDS)
def test_large_logits_stay_finite_and_do_not_leak_over_the_seam(backend):
    """A token on one side of the cyclic seam sees nothing of the other side, however large the logits there."""
    qkv = torch.zeros(1, 14, 14, 3, dtype=torch.float64)
    qkv[..., 0] = 1
    qkv[:, :3, :, 1] = 1e4
    qkv[:, :3, :, 2] = 1
    table = torch.zeros(169, 1, dtype=torch.float64)
    out = shifted_window_attention(qkv, table, window_size=7, shift_size=3, backend=backend)
    assert out.isfinite().all()
    assert torch.equal(out[:, 3:], torch.zeros_like(out[:, 3:]))


@pytest.mark.parametrize('backend', BACKENDS)
def test_input_need_not_be_contiguous(backend):
    case = make_case((10, 11), 7, 2, torch.float64)
    expected = run(case, 7, 3, backend)
    case['tokens'] = case['tokens'].permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    assert not case['tokens'].is_contiguous()
    assert_equal_to_definition(run(case, 7, 3, backend), expected)


@pytest.mark.parametrize('backend', ['reference', 'sdpa', 'auto'])
def test_attention_dropout_keeps_the_mean(backend):
    torch.manual_seed(0)
    qkv = torch.ones(64, 7, 7, 6, dtype=torch.float64)
    table = torch.zeros(169, 2, dtype=torch.float64)
    out = shifted_window_attention(qkv, table, window_size=7, dropout_p=0.5, backend=backend)
    assert out.std() > 0.05
    assert abs(out.mean() - 1) < 0.01


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'qkv': torch.zeros(1, 7, 12)}, r'qkv must be \[B, H, W, 3C\]'),
        ({'qkv': torch.zeros(1, 7, 7, 12, dtype=torch.int64)}, 'floating-point'),
        ({'qkv': torch.zeros(1, 7, 7, 10)}, '10 channels, not divisible by 3 \\* 2 heads'),
        ({'bias_table': torch.zeros(168, 2)}, r'bias_table must be \[169, h\] for window_size=7'),
        ({'bias_table': torch.zeros(2, 49, 49)}, r'got shape \(2, 49, 49\)'),
        ({'cosine_scale': torch.ones(3)}, r'cosine_scale must be \[2\]'),
        ({'cosine_scale': torch.ones(2), 'scale': 0.5}, r'cosine_scale takes the place of scale, got scale=0\.5'),
        ({'pad_value': torch.zeros(4)}, r'pad_value must be \[12\]'),
        ({'window_size': 0}, 'window_size=0'),
        ({'shift_size': 7}, 'shift_size=7'),
        ({'backend': 'cuda'}, "backend='cuda' is unknown"),
    ],
)
def test_a_bad_argument_is_named(change, message):
    arguments = {'qkv': torch.zeros(1, 7, 7, 12), 'bias_table': torch.zeros(169, 2), 'window_size': 7} | change
    with pytest.raises(ValueError, match=message):
        shifted_window_attention(arguments.pop('qkv'), arguments.pop('bias_table'), **arguments)

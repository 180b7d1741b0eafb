"""The Triton backend: on a GPU as it is, else on CPU tensors through Triton's interpreter (see tests/conftest.py)."""

import sys
from collections import defaultdict

import pytest
import torch

from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from swin_mmdet.ops import shifted_window_attention
from swin_mmdet.ops.shifted_window_attention.backends import resolve_backend
from tests.numerics import assert_no_worse_than_eager

pytest.importorskip('triton')
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# the interpreter computes with numpy, which has no bfloat16
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (DEVICE == 'cuda')
TRUTH = {torch.float32: torch.float64, torch.float16: torch.float32, torch.bfloat16: torch.float32}

# height, width, window, shift, heads, head_dim: no padding; padding on both sides; a map smaller than its window; a
# padded side without a shifted neighbour; one pixel
CASES = [
    (14, 14, 7, 3, 2, 16),
    (9, 13, 7, 3, 3, 32),
    (3, 5, 7, 3, 1, 16),
    (8, 16, 4, 0, 2, 64),
    (10, 10, 8, 4, 2, 16),
    (1, 1, 7, 0, 1, 16),
    (5, 11, 3, 2, 2, 16),
    (4, 5, 2, 1, 1, 16),
]


def leaves(case, dtype, values='normal', batch=2, cosine=False, seed=0):
    """Name -> tensor of what the op differentiates."""
    height, width, window, _, heads, head_dim = case
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    channels, offsets = 3 * heads * head_dim, (2 * window - 1) ** 2
    tensors = {'qkv': normal(batch, height, width, channels), 'table': normal(offsets, heads), 'pad': normal(channels)}
    if cosine:
        tensors['cosine_scale'] = torch.linspace(5, 100, heads)
    if values == 'large':
        tensors['qkv'] *= 8
        tensors['table'] *= 20
    if values == 'constant':
        tensors['qkv'] = torch.ones_like(tensors['qkv'])
    if values == 'masked':
        # as good as -inf for all keys but the query itself
        tensors['table'] = torch.full((offsets, heads), -1e4)
        tensors['table'][offsets // 2] = 0
    return {name: tensor.to(DEVICE, dtype) for name, tensor in tensors.items()}


def gradient_of_out(out, dtype):
    return torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(DEVICE, dtype)


def run(case, tensors, dtype, backend):
    """'out', and the gradient of each tensor by its name."""
    tensors = {name: tensor.detach().to(dtype).requires_grad_() for name, tensor in tensors.items()}
    out = shifted_window_attention(
        tensors['qkv'],
        tensors['table'],
        window_size=case[2],
        shift_size=case[3],
        pad_value=tensors['pad'],
        cosine_scale=tensors.get('cosine_scale'),
        backend=backend,
    )
    (out * gradient_of_out(out, dtype)).sum().backward()
    gradients = {name: torch.zeros_like(x) if x.grad is None else x.grad for name, x in tensors.items()}
    return {'out': out.detach()} | gradients


def check(case, dtype, values='normal', batch=2, cosine=False, draws=1):
    """Over several draws where few numbers are compared: the largest error of one is a noisy figure."""
    found = defaultdict(list)
    for seed in range(draws):
        tensors = leaves(case, dtype, values, batch, cosine, seed)
        for way, (kind, backend) in {
            'truth': (TRUTH[dtype], 'reference'),
            'eager': (dtype, 'reference'),
            'fast': (dtype, 'triton'),
        }.items():
            for name, value in run(case, tensors, kind, backend).items():
                assert value.dtype == kind
                found[way, name].append(value.flatten())
    for name in ('out', *tensors):
        truth, eager, fast = (torch.cat(found[way, name]) for way in ('truth', 'eager', 'fast'))
        assert torch.isfinite(fast).all(), name
        assert_no_worse_than_eager(fast, eager, truth)


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('case', CASES, ids=str)
def test_output_and_gradients_are_no_worse_than_eager(case, dtype):
    check(case, dtype)


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('case', [(6, 10, 7, 3, 2, 16), (6, 7, 8, 4, 2, 32), (1, 1, 7, 0, 1, 16)], ids=str)
def test_cosine_attention_is_no_worse_than_eager(case, dtype):
    check(case, dtype, cosine=True, draws=4)


@pytest.mark.parametrize('cosine', [False, True], ids=['scaled', 'cosine'])
@pytest.mark.parametrize('values', ['large', 'constant', 'masked'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_hard_values(values, dtype, cosine):
    check((5, 9, 7, 3, 1, 16), dtype, values, cosine=cosine, draws=4 if cosine else 1)


def test_many_windows_for_each_program():
    """More windows than programs, so that sums over windows are taken in the kernel and over programs outside."""
    check((20, 29, 4, 2, 1, 16), torch.float32, batch=3, cosine=True)


def test_keys_of_length_zero():
    """SwinV2's padding tokens: no NaN, and the gradient of the direction alone, over the smallest length."""
    case = (5, 9, 7, 3, 2, 16)
    tensors = leaves(case, torch.float32, cosine=True)
    tensors['qkv'][:, 2, :, 32:64] = 0
    tensors['pad'][32:64] = 0
    truth, eager, found = (
        run(case, tensors, dtype, backend)
        for dtype, backend in ((torch.float64, 'reference'), (torch.float32, 'reference'), (torch.float32, 'triton'))
    )
    assert truth['pad'][32:64].abs().max() > 1e9
    for name, value in found.items():
        # keys apart: their gradients are larger than others by the smallest length
        parts = (slice(0, 32), slice(32, 64), slice(64, 96)) if name in ('qkv', 'pad') else (slice(None),)
        for part in parts:
            assert_no_worse_than_eager(value[..., part], eager[name][..., part], truth[name][..., part])


def test_an_empty_batch_keeps_the_graph():
    case = (9, 13, 7, 3, 2, 16)
    found = run(case, leaves(case, torch.float32, batch=0, cosine=True), torch.float32, 'triton')
    assert found['out'].shape == (0, 9, 13, 32)
    assert not any(found[name].any() for name in ('table', 'pad', 'cosine_scale'))


def test_strided_inputs():
    case = (9, 13, 7, 3, 2, 16)
    tensors = leaves(case, torch.float32, cosine=True)
    qkv, table, pad, cosine_scale = tensors.values()
    results = [
        shifted_window_attention(
            qkv.to(dtype), table.to(dtype), window_size=7, shift_size=3, pad_value=pad.to(dtype),
            cosine_scale=cosine_scale.to(dtype), backend='reference',
        )
        for dtype in (torch.float64, torch.float32)
    ]  # fmt: skip
    found = shifted_window_attention(
        qkv.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        table.T.contiguous().T,
        window_size=7,
        shift_size=3,
        pad_value=torch.stack([pad, pad], dim=-1)[:, 0],
        cosine_scale=torch.stack([cosine_scale, cosine_scale], dim=-1)[:, 0],
        backend='triton',
    )
    assert_no_worse_than_eager(found, results[1], results[0])


def test_types_may_differ():
    """Under autocast the map is in half; the table, the padding value and the scale are float32 parameters."""
    case = (9, 13, 7, 3, 2, 16)
    half = DTYPES[-1]
    full = leaves(case, torch.float32, cosine=True)
    tensors = {name: x.to(half) if name == 'qkv' else x for name, x in full.items()}
    tensors = {name: x.requires_grad_() for name, x in tensors.items()}
    out = shifted_window_attention(
        tensors['qkv'], tensors['table'], window_size=7, shift_size=3, pad_value=tensors['pad'],
        cosine_scale=tensors['cosine_scale'], backend='triton',
    )  # fmt: skip
    (out * gradient_of_out(out, half)).sum().backward()
    assert out.dtype == half
    truth = run(case, tensors, torch.float32, 'reference')
    eager = run(case, tensors, half, 'reference')
    for name, x in tensors.items():
        assert x.grad.dtype == x.dtype
        assert_no_worse_than_eager(x.grad, eager[name], truth[name])


def launch(case, tensors, **options):
    """What `launch_backward` returns for the gradient that `run` takes, by name; and the forward's output."""
    from swin_mmdet.ops.shifted_window_attention.triton_launch import launch_backward, launch_forward

    qkv, table, pad, cosine_scale = (tensors.get(name) for name in ('qkv', 'table', 'pad', 'cosine_scale'))
    scale = None if cosine_scale is not None else case[5] ** -0.5
    inputs = qkv, table, pad, cosine_scale, case[2], case[3], scale
    forward = launch_forward(*inputs)
    found = launch_backward(gradient_of_out(forward, forward.dtype), *inputs, **options)
    return dict(zip(('qkv', 'table', 'pad', 'cosine_scale', 'out'), found, strict=True)), forward


@pytest.mark.parametrize('cosine', [False, True], ids=['scaled', 'cosine'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('case', [(8, 8, 4, 2, 1, 16), (5, 9, 7, 3, 2, 32)], ids=str)
def test_the_backward_kernel_sums_over_all_tokens_and_makes_the_output_again(case, dtype, cosine):
    tensors = leaves(case, dtype, cosine=cosine)
    found, out = launch(case, tensors, sum_all=True, with_out=True)
    truth, eager = (run(case, tensors, kind, 'reference') for kind in (TRUTH[dtype], dtype))
    sums = [gradients['qkv'].sum((0, 1, 2)) + gradients['pad'] for gradients in (eager, truth)]
    assert_no_worse_than_eager(found['pad'].to(dtype), *sums)
    assert_no_worse_than_eager(found['out'], eager['out'], truth['out'])
    if DEVICE == 'cpu':
        assert torch.equal(found['out'], out)
    other, _ = launch(case, tensors)
    assert other['out'] is None
    assert all(
        other[name] is None or torch.equal(other[name], found[name]) for name in ('qkv', 'table', 'cosine_scale')
    )


@pytest.mark.parametrize('sum_all', [False, True])
def test_no_memory_outside_the_output_is_touched(sum_all, monkeypatch):
    """New memory is poisoned: what is left over from other tensors shows up nowhere, and results repeat."""
    empty, empty_like, new_empty = torch.empty, torch.empty_like, torch.Tensor.new_empty
    monkeypatch.setattr(torch, 'empty', lambda *args, **options: empty(*args, **options).fill_(float('nan')))
    monkeypatch.setattr(torch, 'empty_like', lambda *args, **options: empty_like(*args, **options).fill_(float('nan')))
    monkeypatch.setattr(
        torch.Tensor, 'new_empty', lambda *args, **options: new_empty(*args, **options).fill_(float('nan'))
    )
    for case in ((5, 9, 7, 3, 2, 16), (8, 8, 4, 0, 1, 16)):
        tensors = leaves(case, torch.float32, cosine=True)
        first, out = launch(case, tensors, sum_all=sum_all, with_out=True)
        assert torch.isfinite(out).all()
        for _ in range(20 if DEVICE == 'cuda' else 1):
            again, _ = launch(case, tensors, sum_all=sum_all, with_out=True)
            for name, value in first.items():
                assert torch.isfinite(value).all(), name
                assert torch.equal(value, again[name]), name


@pytest.mark.parametrize('cosine', [False, True], ids=['scaled', 'cosine'])
def test_pytorch_s_own_checks_of_an_operator(cosine):
    case = (5, 6, 4, 2, 2, 16)
    tensors = {name: x.requires_grad_() for name, x in leaves(case, torch.float32, cosine=cosine).items()}
    qkv, table, pad = tensors['qkv'], tensors['table'], tensors['pad']
    op = torch.ops.swin_mmdet.shifted_window_attention.default
    torch.library.opcheck(op, (qkv, table, pad, tensors.get('cosine_scale'), 4, 2, 0.25))


@pytest.mark.parametrize('cls', [SwinTransformer, SwinTransformerV2])
def test_a_backbone_gives_the_same_maps_and_gradients(cls):
    options = {'embed_dims': 16, 'depths': (2, 2), 'num_heads': (1, 2), 'out_indices': (0, 1), 'window_size': 4}
    image = torch.randn(2, 3, 50, 36, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    results = []
    for backend in ('reference', 'triton'):
        torch.manual_seed(0)
        model = cls(**options, drop_path_rate=0.0, attn_backend=backend).to(DEVICE)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        maps = model(image)
        sum(x.square().mean() for x in maps).backward()
        results.append([*maps, *(parameter.grad for parameter in model.parameters())])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-5 * max(1, expected.abs().max().item()))


def test_what_it_refuses_is_said_and_auto_goes_on(monkeypatch):
    qkv, table, _ = leaves((14, 14, 7, 3, 2, 16), torch.float32).values()
    wide = torch.zeros(1, 24, 24, 3 * 16, device=DEVICE), torch.zeros(529, 1, device=DEVICE), 12
    for arguments, reason in (
        ((qkv.double(), table, 7), 'dtype torch.float64'),
        ((torch.zeros(1, 7, 7, 3 * 48, device=DEVICE), torch.zeros(169, 1, device=DEVICE), 7), 'head_dim=48'),
        (wide, 'a window of 144 tokens'),
        ((qkv, table, 7, 0.1), r'dropout_p=0\.1'),
    ):
        with pytest.raises(ValueError, match=f'triton: .*{reason}'):
            resolve_backend('triton', *arguments)
        assert resolve_backend('auto', *arguments).name == 'sdpa'
    # the function of this name hides the module in its package
    module = sys.modules['swin_mmdet.ops.shifted_window_attention.triton_op']
    monkeypatch.setattr(module, 'find_spec', lambda _: None)
    with pytest.raises(ValueError, match='triton is not installed'):
        resolve_backend('triton', qkv, table, 7)
    assert resolve_backend('auto', qkv, table, 7).name == 'sdpa'


def test_auto_takes_it_on_gpus_only():
    qkv, table, _ = leaves((14, 14, 7, 3, 2, 16), torch.float32).values()
    assert resolve_backend('auto', qkv, table, 7).name == ('triton' if DEVICE == 'cuda' else 'sdpa')

"""The Triton backend: on a GPU as it is, else on CPU tensors through Triton's interpreter (see tests/conftest.py)."""

import sys

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


def leaves(case, dtype, values='normal', batch=2):
    height, width, window, _, heads, head_dim = case
    generator = torch.Generator().manual_seed(0)
    shapes = ((batch, height, width, 3 * heads * head_dim), (heads, window**2, window**2), (3 * heads * head_dim,))
    tensors = [torch.randn(*shape, generator=generator) for shape in shapes]
    if values == 'large':
        tensors[0] *= 8
        tensors[1] *= 20
    if values == 'constant':
        tensors[0] = torch.ones_like(tensors[0])
    if values == 'masked':
        # as good as -inf for all keys but the query itself
        tensors[1] = torch.where(torch.eye(window**2, dtype=torch.bool), 0.0, -1e4).expand(heads, -1, -1).clone()
    return [tensor.to(DEVICE, dtype) for tensor in tensors]


def run(case, tensors, dtype, backend):
    _, _, window, shift, _, _ = case
    qkv, bias, pad = (tensor.to(dtype).requires_grad_() for tensor in tensors)
    out = shifted_window_attention(qkv, bias, window_size=window, shift_size=shift, pad_value=pad, backend=backend)
    noise = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(DEVICE, dtype)
    (out * noise).sum().backward()
    pad_grad = torch.zeros_like(pad) if pad.grad is None else pad.grad
    return {'out': out.detach(), 'qkv': qkv.grad, 'bias': bias.grad, 'pad': pad_grad}


def check(case, dtype, values='normal', batch=2):
    tensors = leaves(case, dtype, values, batch)
    truth = run(case, tensors, TRUTH[dtype], 'reference')
    eager = run(case, tensors, dtype, 'reference')
    for name, value in run(case, tensors, dtype, 'triton').items():
        assert value.dtype == dtype
        assert torch.isfinite(value).all(), name
        assert_no_worse_than_eager(value, eager[name], truth[name])


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('case', CASES, ids=str)
def test_output_and_gradients_are_no_worse_than_eager(case, dtype):
    check(case, dtype)


@pytest.mark.parametrize('values', ['large', 'constant', 'masked'])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
def test_hard_values(values, dtype):
    check((9, 13, 7, 3, 2, 16), dtype, values)


def test_many_windows_for_each_program():
    """More windows than programs, so that sums over windows are taken in the kernel and over programs outside."""
    check((30, 29, 4, 2, 1, 16), torch.float32, batch=3)


def test_an_empty_batch_keeps_the_graph():
    found = run((9, 13, 7, 3, 2, 16), leaves((9, 13, 7, 3, 2, 16), torch.float32, batch=0), torch.float32, 'triton')
    assert found['out'].shape == (0, 9, 13, 32)
    assert not found['bias'].any()
    assert not found['pad'].any()


def test_strided_inputs():
    case = (9, 13, 7, 3, 2, 16)
    qkv, bias, pad = leaves(case, torch.float32)
    truth = shifted_window_attention(
        qkv.double(), bias.double(), window_size=7, shift_size=3, pad_value=pad.double(), backend='reference'
    )
    expected = shifted_window_attention(qkv, bias, window_size=7, shift_size=3, pad_value=pad, backend='reference')
    channels_first = qkv.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    padded = torch.cat([pad, pad])[: pad.numel()]
    found = shifted_window_attention(
        channels_first, bias.mT.contiguous().mT, window_size=7, shift_size=3, pad_value=padded, backend='triton'
    )
    assert_no_worse_than_eager(found, expected, truth)


def test_no_memory_outside_the_output_is_touched():
    """Poisoned buffers: what is left over from other tensors shows up nowhere."""
    case = (9, 13, 7, 3, 2, 16)
    tensors = leaves(case, torch.float32)
    first = run(case, tensors, torch.float32, 'triton')
    poison = [torch.full((2, 9, 13, 96), float('nan'), device=DEVICE) for _ in range(8)]
    del poison
    for _ in range(20 if DEVICE == 'cuda' else 2):
        again = run(case, tensors, torch.float32, 'triton')
        assert all(torch.equal(first[name], again[name]) for name in first)


def test_pytorch_s_own_checks_of_an_operator():
    case = (9, 13, 7, 3, 2, 16)
    qkv, bias, pad = (tensor.requires_grad_() for tensor in leaves(case, torch.float32))
    op = torch.ops.swin_mmdet.shifted_window_attention.default
    torch.library.opcheck(
        op, (qkv, bias, pad, 7, 3, 0.25), test_utils=('test_schema', 'test_autograd_registration', 'test_faketensor')
    )


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
    qkv, bias, _ = leaves((14, 14, 7, 3, 2, 16), torch.float32)
    wide = torch.zeros(1, 24, 24, 3 * 16, device=DEVICE), torch.zeros(1, 144, 144, device=DEVICE)
    for arguments, reason in (
        ((qkv.double(), bias), 'dtype torch.float64'),
        ((torch.zeros(1, 7, 7, 3 * 48, device=DEVICE), torch.zeros(1, 49, 49, device=DEVICE)), 'head_dim=48'),
        (wide, 'a window of 144 tokens'),
        ((qkv, bias, 0.1), r'dropout_p=0\.1'),
    ):
        with pytest.raises(ValueError, match=f'triton: .*{reason}'):
            resolve_backend('triton', *arguments)
        assert resolve_backend('auto', *arguments).name == 'sdpa'
    # the function of this name hides the module in its package
    module = sys.modules['swin_mmdet.ops.shifted_window_attention.triton_op']
    monkeypatch.setattr(module, 'find_spec', lambda _: None)
    with pytest.raises(ValueError, match='triton is not installed'):
        resolve_backend('triton', qkv, bias)
    assert resolve_backend('auto', qkv, bias).name == 'sdpa'


def test_auto_takes_it_on_gpus_only():
    qkv, bias, _ = leaves((14, 14, 7, 3, 2, 16), torch.float32)
    assert resolve_backend('auto', qkv, bias).name == ('triton' if DEVICE == 'cuda' else 'sdpa')

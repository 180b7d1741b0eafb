"""The Triton backend: on a GPU as it is, else on CPU tensors through Triton's interpreter (see tests/conftest.py)."""

from collections import defaultdict
from itertools import product

import numpy as np
import pytest
import torch

from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from swin_mmdet.ops import shifted_window_attention, triton_available
from swin_mmdet.ops.shifted_window_attention import attention_backward, attention_forward
from swin_mmdet.ops.shifted_window_attention.backends import resolve_backend
from tests.numerics import assert_mostly_no_worse_than_eager, assert_no_worse_than_eager

pytest.importorskip('triton')
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# the interpreter computes with numpy, which has no bfloat16
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (DEVICE == 'cuda')
HALF = DTYPES[-1]
# what 'auto' takes without this backend
OTHER = 'sdpa' if DEVICE == 'cuda' else 'tiled'
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
# windows of several tiles: full tiles and not, queries that see no key of the first tile, the same maps as above
TILED_CASES = [
    (9, 9, 9, 0, 1, 16),
    (13, 9, 12, 5, 1, 16),
    (16, 16, 16, 8, 1, 16),
    (5, 20, 24, 11, 1, 16),
    (1, 1, 12, 6, 1, 16),
]
# what takes the interpreter minutes
LARGE_CASES = [
    (50, 41, 7, 3, 3, 32),
    (50, 40, 12, 6, 4, 32),
    (48, 33, 16, 8, 3, 32),
    (60, 50, 24, 12, 2, 32),
    (30, 41, 20, 7, 2, 64),
    (40, 33, 32, 16, 1, 16),
]
# one of each kind for the tests of everything else
BOTH = [(5, 9, 7, 3, 1, 16), (4, 10, 9, 4, 1, 16)]
both = pytest.mark.parametrize('case', BOTH, ids=['one tile', 'several tiles'])
both_ways = pytest.mark.parametrize('cosine', [False, True], ids=['scaled', 'cosine'])
dtypes = pytest.mark.parametrize('dtype', DTYPES, ids=str)


def leaves(case, dtype, values='normal', batch=1, cosine=False, seed=0):
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


def check(case, dtype, values='normal', batch=1, cosine=False, draws=1, mostly=False):
    """Over several draws where few numbers are compared: the largest error of one is a noisy figure.

    All of them are one comparison, or `mostly` each is one, and most must pass.
    """
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
        truth, eager, fast = (found[way, name] for way in ('truth', 'eager', 'fast'))
        assert torch.isfinite(torch.cat(fast)).all(), name
        if mostly:
            assert_mostly_no_worse_than_eager(fast, eager, truth)
        else:
            assert_no_worse_than_eager(*map(torch.cat, (fast, eager, truth)))


@dtypes
@pytest.mark.parametrize('case', CASES, ids=str)
def test_output_and_gradients_are_no_worse_than_eager(case, dtype):
    check(case, dtype, batch=2)


@pytest.fixture
def set_grid(monkeypatch):
    """Sets constants of `triton_grid`, of every kind of kernel."""
    from swin_mmdet.ops.shifted_window_attention import triton_grid

    def set_to(**values):
        for name, value in values.items():
            monkeypatch.setattr(triton_grid, name, dict.fromkeys(getattr(triton_grid, name), value))

    return set_to


@pytest.mark.parametrize(
    ('case', 'dtype'),
    # the interpreter takes seconds for each: one type for one case, and for the next the other
    [(case, DTYPES[i % 2]) for i, case in enumerate(TILED_CASES)] if DEVICE == 'cpu' else product(TILED_CASES, DTYPES),
    ids=str,
)
def test_windows_of_several_tiles_are_no_worse_than_eager(case, dtype, set_grid):
    if case[2] > 16 and DEVICE == 'cpu':
        set_grid(OWN=128, OTHER=128)  # a quarter of the time
    check(case, dtype, batch=2 if case[2] == 9 else 1)


def test_the_widest_tiles_of_queries_and_keys():
    """In half, for windows that they divide."""
    check((16, 16, 16, 8, 1, 16), HALF)


@dtypes
@pytest.mark.parametrize('case', [(6, 10, 7, 3, 2, 16), (6, 7, 8, 4, 1, 32), (6, 9, 9, 4, 1, 16)], ids=str)
def test_cosine_attention_is_no_worse_than_eager(case, dtype):
    check(case, dtype, cosine=True, draws=3 if dtype == torch.float32 else 1)


@pytest.mark.skipif(DEVICE == 'cpu', reason='slow without a GPU')
@both_ways
@dtypes
@pytest.mark.parametrize('case', LARGE_CASES, ids=str)
def test_large_maps_and_windows_are_no_worse_than_eager(case, dtype, cosine):
    check(case, dtype, cosine=cosine, draws=2)


@pytest.mark.parametrize(
    ('values', 'cosine', 'dtype'),
    [
        ('large', False, torch.float32),
        ('large', False, HALF),
        ('constant', False, torch.float32),
        ('constant', True, HALF),
        ('masked', False, HALF),
        ('masked', True, torch.float32),
    ],
)
@both
def test_hard_values(case, values, cosine, dtype, monkeypatch):
    if DEVICE == 'cpu':
        # numpy's product of transposed matrices is not the same to the last bit, as the kernels' is on a GPU
        monkeypatch.setattr(np, 'matmul', lambda a, b, dtype: (a.astype(float) @ b.astype(float)).astype(dtype))
    # errors of float32 are small beside the step that half is rounded to, and masked values have none
    several = dtype == torch.float32 and values != 'masked'
    check(case, dtype, values, cosine=cosine, draws=5 if several else 1, mostly=several)


def in_half_precision(x):
    """As tensor cores would round float32 in a kernel that forgets to ask for all of its bits."""
    return torch.frexp(x).mantissa.mul(2**11).round().div(2**11).mul(torch.exp2(torch.frexp(x).exponent.float()))


@pytest.mark.parametrize('values', ['large', 'constant'])
@pytest.mark.parametrize('wrong', ['products in few bits', 'padding'])
@both
def test_a_wrong_kernel_fails_with_hard_values(case, wrong, values):
    """The reference with a fault in place of the kernel."""
    found = defaultdict(list)
    for seed in range(5):
        tensors = leaves(case, torch.float32, values, seed=seed)
        if wrong == 'padding':
            faulty = tensors | {'pad': torch.zeros_like(tensors['pad'])}
        else:
            faulty = {name: in_half_precision(tensor) for name, tensor in tensors.items()}
        for way, (dtype, inputs) in {
            'truth': (torch.float64, tensors),
            'eager': (torch.float32, tensors),
            'fast': (torch.float32, faulty),
        }.items():
            found[way].append(run(case, inputs, dtype, 'reference')['out'])
    with pytest.raises(AssertionError, match=r'draws? errs? '):
        assert_mostly_no_worse_than_eager(found['fast'], found['eager'], found['truth'])


@pytest.mark.parametrize('case', [(11, 15, 4, 2, 1, 16), (27, 27, 9, 4, 1, 16)], ids=['one tile', 'several tiles'])
def test_many_windows_for_each_program(case, set_grid):
    """So that sums over windows are taken in the kernels, and over programs outside; the last program has fewer."""
    set_grid(PROGRAMS_PER_PROCESSOR=2)
    check(case, torch.float32)


@both
def test_keys_of_length_zero(case):
    """SwinV2's padding tokens: no NaN, and the gradient of the direction alone, over the smallest length."""
    ways = {'truth': (torch.float64, 'reference'), 'eager': (torch.float32, 'reference')}
    ways['fast'] = torch.float32, 'triton'
    keys, others = defaultdict(list), defaultdict(list)
    for seed in range(3):
        tensors = leaves(case, torch.float32, cosine=True, seed=seed)
        tensors['qkv'][:, 2, :, 16:32] = 0
        tensors['pad'][16:32] = 0
        for way, (dtype, backend) in ways.items():
            for name, x in run(case, tensors, dtype, backend).items():
                q, k, v = x.split(16, dim=-1) if name in ('qkv', 'pad') else (x, x[:0], x)
                others[way].append(torch.cat([q.flatten(), v.flatten()]))
                # apart, for they are larger than the others by the inverse of that length
                keys[way].append(k.flatten() * 2.0**-40)
    for found in (keys, others):
        assert_no_worse_than_eager(*(torch.cat(found[way]) for way in ('fast', 'eager', 'truth')))


@both
def test_an_empty_batch_keeps_the_graph(case):
    found = run(case, leaves(case, torch.float32, batch=0, cosine=True), torch.float32, 'triton')
    assert found['out'].shape == (0, case[0], case[1], 16)
    assert not any(found[name].any() for name in ('table', 'pad', 'cosine_scale'))


@both
def test_strided_inputs(case):
    tensors = leaves(case, torch.float32, cosine=True)
    options = {'window_size': case[2], 'shift_size': case[3]}

    def attend(qkv, table, pad, cosine_scale, backend):
        return shifted_window_attention(
            qkv, table, pad_value=pad, cosine_scale=cosine_scale, backend=backend, **options
        )

    truth, eager = (
        attend(*(x.to(dtype) for x in tensors.values()), 'reference') for dtype in (torch.float64, torch.float32)
    )
    qkv, table, pad, cosine_scale = tensors.values()
    found = attend(
        qkv.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        table.T.contiguous().T,
        torch.stack([pad, pad], dim=-1)[:, 0],
        torch.stack([cosine_scale, cosine_scale], dim=-1)[:, 0],
        'triton',
    )
    assert_no_worse_than_eager(found, eager, truth)


@both
def test_types_may_differ(case):
    """Under autocast the map is in half; the table, the padding value and the scale are float32 parameters."""
    full = leaves(case, torch.float32, cosine=True)
    tensors = {name: x.to(HALF) if name == 'qkv' else x for name, x in full.items()}
    tensors = {name: x.requires_grad_() for name, x in tensors.items()}
    out = shifted_window_attention(
        tensors['qkv'], tensors['table'], window_size=case[2], shift_size=case[3], pad_value=tensors['pad'],
        cosine_scale=tensors['cosine_scale'], backend='triton',
    )  # fmt: skip
    (out * gradient_of_out(out, HALF)).sum().backward()
    assert out.dtype == HALF
    truth = run(case, tensors, torch.float32, 'reference')
    eager = run(case, tensors, HALF, 'reference')
    for name, x in tensors.items():
        assert x.grad.dtype == x.dtype
        assert_no_worse_than_eager(x.grad, eager[name], truth[name])


def launch(case, tensors, **options):
    """What `attention_backward` returns for the gradient that `run` takes, by name; and the forward's output."""
    qkv, table, pad, cosine_scale = (tensors.get(name) for name in ('qkv', 'table', 'pad', 'cosine_scale'))
    scale = 1.0 if cosine_scale is not None else case[5] ** -0.5
    inputs = qkv, table, pad, cosine_scale, case[2], case[3], scale
    forward = attention_forward(*inputs)
    found = attention_backward(gradient_of_out(forward, forward.dtype), *inputs, **options)
    return dict(zip(('qkv', 'table', 'pad', 'cosine_scale', 'out'), found, strict=True)), forward


@pytest.mark.parametrize(('dtype', 'cosine'), [(torch.float32, True), (HALF, False)], ids=str)
@pytest.mark.parametrize('case', [*BOTH, (8, 8, 4, 2, 1, 32)], ids=['one tile', 'several tiles', 'no padding'])
def test_the_backward_kernels_sum_over_all_tokens_and_make_the_output_again(case, dtype, cosine):
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
    for name in ('qkv', 'table', 'cosine_scale'):
        assert other[name] is None or torch.equal(other[name], found[name]), name


@pytest.mark.parametrize('sum_all', [False, True])
@pytest.mark.parametrize('case', [*BOTH, (8, 8, 4, 0, 1, 16)], ids=['one tile', 'several tiles', 'no padding'])
def test_no_memory_outside_the_output_is_touched(case, sum_all, monkeypatch):
    """New memory is poisoned: what is left over from other tensors shows up nowhere, and results repeat."""

    def poisoned(make):
        return lambda *args, **options: make(*args, **options).fill_(float('nan'))

    for owner, name in ((torch, 'empty'), (torch, 'empty_like'), (torch.Tensor, 'new_empty')):
        monkeypatch.setattr(owner, name, poisoned(getattr(owner, name)))
    tensors = leaves(case, torch.float32, cosine=True)
    first, out = launch(case, tensors, sum_all=sum_all, with_out=True)
    assert torch.isfinite(out).all()
    for _ in range(20 if DEVICE == 'cuda' else 1):
        again, _ = launch(case, tensors, sum_all=sum_all, with_out=True)
        for name, value in first.items():
            assert torch.isfinite(value).all(), name
            assert torch.equal(value, again[name]), name


@pytest.mark.parametrize(
    ('case', 'cosine'),
    [((4, 5, 3, 1, 1, 16), False), ((4, 5, 3, 1, 1, 16), True), ((8, 9, 9, 4, 1, 16), True)],
    ids=['scaled', 'cosine', 'several tiles'],
)
def test_pytorch_s_own_checks_of_an_operator(case, cosine):
    tensors = {name: x.requires_grad_() for name, x in leaves(case, torch.float32, cosine=cosine).items()}
    qkv, table, pad = tensors['qkv'], tensors['table'], tensors['pad']
    op = torch.ops.swin_mmdet.shifted_window_attention.default
    torch.library.opcheck(op, (qkv, table, pad, tensors.get('cosine_scale'), case[2], case[3], 0.25))


@pytest.mark.parametrize('cls', [SwinTransformer, SwinTransformerV2])
def test_a_backbone_gives_the_same_maps_and_gradients(cls):
    options = {'embed_dims': 16, 'depths': (2, 2), 'num_heads': (1, 2), 'out_indices': (0, 1), 'window_size': 4}
    image = torch.randn(2, 3, 34, 26, generator=torch.Generator().manual_seed(0)).to(DEVICE)
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
    wide = torch.zeros(1, 33, 33, 3 * 16, device=DEVICE), torch.zeros(65**2, 1, device=DEVICE), 33
    for arguments, reason in (
        ((qkv.double(), table, 7), 'dtype torch.float64'),
        ((torch.zeros(1, 7, 7, 3 * 48, device=DEVICE), torch.zeros(169, 1, device=DEVICE), 7), 'head_dim=48'),
        (wide, 'window_size=33 is more than 32'),
        ((qkv, table, 7, 0.1), r'dropout_p=0\.1'),
    ):
        with pytest.raises(ValueError, match=f'triton: .*{reason}'):
            resolve_backend('triton', *arguments)
        assert resolve_backend('auto', *arguments).name == ('sdpa' if len(arguments) == 4 else OTHER)
    monkeypatch.setattr(triton_available, 'find_spec', lambda _: None)
    with pytest.raises(ValueError, match='triton is not installed'):
        resolve_backend('triton', qkv, table, 7)
    assert resolve_backend('auto', qkv, table, 7).name == OTHER


def test_an_exported_program_has_no_kernel_of_ours():
    """Where it runs nobody knows them."""

    class Attention(torch.nn.Module):
        def forward(self, qkv, table):
            return shifted_window_attention(qkv, table, window_size=4, backend='triton')

    inputs = torch.randn(1, 8, 8, 96, device=DEVICE), torch.randn(49, 2, device=DEVICE)
    with pytest.raises(ValueError, match='triton: an exported program should need no operator of ours'):
        torch.export.export(Attention(), inputs)


def test_auto_takes_it_on_gpus_only():
    qkv, table, _ = leaves((14, 14, 7, 3, 2, 16), torch.float32).values()
    assert resolve_backend('auto', qkv, table, 7).name == ('triton' if DEVICE == 'cuda' else OTHER)

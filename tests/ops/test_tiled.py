"""The backend for CPUs where maps take several tiles, and as an operator; its formula has its tests with the others."""

from collections import defaultdict

import pytest
import torch

from swin_mmdet.ops import shifted_window_attention
from swin_mmdet.ops.shifted_window_attention import tiles
from swin_mmdet.ops.shifted_window_attention.backends import resolve_backend
from tests.numerics import assert_equal_to_definition, assert_no_worse_than_eager

NAMES = ('qkv', 'table', 'pad', 'cosine_scale')


def leaves(dtype, batch=3, cosine=True, seed=0):
    """Two heads of 8 channels, a map of 3x4 windows of 4x4 with padding on both sides."""
    generator = torch.Generator().manual_seed(seed)
    shapes = (batch, 10, 13, 48), (49, 2), (48,)
    made = [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes]
    return [*made, torch.tensor([5.0, 50.0], dtype=dtype)][: 3 + cosine]


def run(tensors, backend, shift_size=2):
    tensors = [x.clone().requires_grad_() for x in tensors]
    qkv, table, pad, *scale = tensors
    out = shifted_window_attention(
        qkv, table, window_size=4, shift_size=shift_size, pad_value=pad, cosine_scale=scale[0] if scale else None,
        backend=backend,
    )  # fmt: skip
    noise = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (out * noise.to(out.dtype)).sum().backward()
    return {'out': out.detach()} | {name: x.grad for name, x in zip(NAMES, tensors, strict=False)}


# of 16 tokens with 16 logits for each head: one window, five, more than an image has, all of the batch
@pytest.mark.parametrize('windows', [1, 5, 13, 1000])
@pytest.mark.parametrize('shift_size', [0, 2])
@pytest.mark.parametrize('cosine', [False, True], ids=['scaled', 'cosine'])
def test_tiles_of_any_size_give_the_same(windows, shift_size, cosine, monkeypatch):
    monkeypatch.setattr(tiles, 'TILE_BYTES', windows * 16 * (48 + 2 * 16) * 8)
    tensors = leaves(torch.float64, cosine=cosine)
    expected = run(tensors, 'reference', shift_size)
    for name, found in run(tensors, 'tiled', shift_size).items():
        assert_equal_to_definition(found, expected[name], name)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_several_tiles_are_no_worse_than_the_reference_in_the_same_dtype(dtype, monkeypatch):
    monkeypatch.setattr(tiles, 'TILE_BYTES', 2**14)
    one_up = torch.float64 if dtype == torch.float32 else torch.float32
    found = defaultdict(list)
    for seed in range(12):
        tensors = leaves(dtype, seed=seed)
        exact = [x.to(one_up) for x in tensors]
        for way, inputs, backend in (
            ('truth', exact, 'reference'), ('eager', tensors, 'reference'), ('fast', tensors, 'tiled'),
        ):  # fmt: skip
            for name, value in run(inputs, backend).items():
                found[way, name].append(value.flatten())
    for name in ('out', *NAMES):
        assert_no_worse_than_eager(*(torch.cat(found[way, name]) for way in ('fast', 'eager', 'truth')))


def test_training_after_an_evaluation_of_the_same_size():
    """What is cached for a size was not made by an inference alone."""
    tensors = leaves(torch.float32)
    tiles.cut_tiles.cache_clear()
    with torch.inference_mode():
        shifted_window_attention(*tensors[:2], window_size=4, shift_size=2, backend='tiled')
    assert run(tensors, 'tiled')['qkv'].any()


def test_autocast_computes_in_float32_and_keeps_the_map_s_type():
    qkv, table, pad, _ = leaves(torch.float32)
    with torch.autocast('cpu', torch.bfloat16):
        out = shifted_window_attention(qkv.bfloat16(), table, window_size=4, pad_value=pad, backend='tiled')
    expected = shifted_window_attention(
        qkv.bfloat16().float(), table, window_size=4, pad_value=pad.bfloat16().float(), backend='reference'
    )
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out, expected.bfloat16(), rtol=2**-7, atol=1e-5)


def test_forward_makes_nothing_larger_than_its_output(monkeypatch):
    monkeypatch.setattr(tiles, 'TILE_BYTES', 2**18)
    qkv, table = torch.zeros(1, 196, 196, 48), torch.zeros(169, 2)
    shifted_window_attention(qkv, table, window_size=7, backend='tiled')  # what is cached for the size
    with torch.inference_mode(), torch.profiler.profile(profile_memory=True) as profiler:
        out = shifted_window_attention(qkv, table, window_size=7, backend='tiled')
    made = [event.cpu_memory_usage for event in profiler.events() if not event.cpu_children]
    assert max(made) == out.nbytes


def test_pytorch_s_own_checks_of_an_operator():
    qkv, _, pad, _ = (x.requires_grad_() for x in leaves(torch.float32))
    bias = torch.randn(2, 16, 16, requires_grad=True)
    torch.library.opcheck(torch.ops.swin_mmdet.tiled_attention.default, (qkv, bias, pad, 4, 2, 0.25))


@pytest.mark.filterwarnings('ignore::torch.jit.TracerWarning')
def test_what_it_refuses_is_said_and_auto_goes_on(tmp_path):
    qkv, table = leaves(torch.float32)[:2]
    assert resolve_backend('auto', qkv, table, 4).name == 'tiled'
    for arguments, reason in (
        ((qkv, table, 4, 0.5), r'dropout_p=0\.5'),
        ((qkv.to('meta'), table, 4), "on 'meta'"),
    ):
        with pytest.raises(ValueError, match=f'tiled: .*{reason}'):
            resolve_backend('tiled', *arguments)
        assert resolve_backend('auto', *arguments).name == 'sdpa'

    class Attention(torch.nn.Module):
        def forward(self, qkv):
            return shifted_window_attention(qkv, table, window_size=4, shift_size=2)

    program = torch.export.export(Attention(), (qkv,))
    assert not any('swin_mmdet' in str(node.target) for node in program.graph.nodes)
    torch.testing.assert_close(program.module()(qkv), Attention()(qkv))
    # and a trace needs nothing of ours to run
    torch.jit.trace(Attention(), qkv).save(tmp_path / 'trace.pt')
    assert 'swin_mmdet' not in torch.jit.load(tmp_path / 'trace.pt').code

"""The fused attention of queries against mmcv's."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmcv.cnn.bricks.transformer import MultiheadAttention as MMCVMultiheadAttention

from swin_mmdet.detectors import multihead_attention
from swin_mmdet.detectors.multihead_attention import MultiheadAttention
from tests.detectors.cases import DEVICE

BATCH, LENGTH, CHANNELS, HEADS = 2, 11, 32, 4


def twins(**options):
    torch.manual_seed(0)
    options = {'embed_dims': CHANNELS, 'num_heads': HEADS, 'batch_first': True} | options
    ours, theirs = (cls(**copy.deepcopy(options)).to(DEVICE) for cls in (MultiheadAttention, MMCVMultiheadAttention))
    if ours.attn.in_proj_bias is not None:
        torch.nn.init.normal_(ours.attn.in_proj_bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def mask(kind):
    generator = torch.Generator().manual_seed(2)
    if kind == 'none':
        return None
    shape = (BATCH * HEADS, LENGTH, LENGTH) if 'heads' in kind else (LENGTH, LENGTH)
    if kind == 'added':
        return torch.randn(shape, generator=generator).to(DEVICE)
    found = torch.rand(shape, generator=generator) < 0.4
    return found.diagonal_scatter(torch.zeros(shape[:-1], dtype=torch.bool), dim1=-2, dim2=-1).to(DEVICE)


@pytest.fixture
def fused(monkeypatch):
    """How often the fused attention is taken."""
    calls, run = [], multihead_attention.self_attention
    monkeypatch.setattr(multihead_attention, 'self_attention', lambda *args: calls.append(args) or run(*args))
    return calls


@pytest.mark.parametrize('position', [False, True], ids=['no position', 'position'])
@pytest.mark.parametrize('kind', ['none', 'bool', 'added', 'bool of heads'])
def test_it_is_mmcvs_with_its_gradients(kind, position, fused):
    found = []
    for module in twins():
        generator = torch.Generator().manual_seed(1)
        x, where = (torch.randn(BATCH, LENGTH, CHANNELS, generator=generator).to(DEVICE).requires_grad_() for _ in '12')
        where = where if position else None
        out = module(x, key=x, value=x, query_pos=where, key_pos=where, attn_mask=mask(kind), pyramid='ignored')
        (out * out.detach().cos()).sum().backward()
        leaves = [x, *module.parameters()] + ([where] if position else [])
        found.append([out, *(leaf.grad for leaf in leaves)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert len(fused) == 1


@pytest.mark.parametrize(
    ('options', 'arguments'),
    [
        ({'bias': False}, {}),
        ({'add_zero_attn': True}, {}),
        ({}, {'key': torch.randn(BATCH, 5, CHANNELS)}),
        ({}, {'key_padding_mask': torch.zeros(BATCH, LENGTH, dtype=torch.bool).index_fill_(1, torch.tensor(3), True)}),
    ],
    ids=['no bias', 'a zero more', 'other keys', 'padding'],
)
def test_the_rest_is_mmcvs_own(options, arguments, fused):
    x = torch.randn(BATCH, LENGTH, CHANNELS, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    arguments = {key: value.to(DEVICE) for key, value in arguments.items()}
    ours, theirs = (module(x, **arguments) for module in twins(**options))
    torch.testing.assert_close(ours, theirs)
    assert fused == []


def test_rows_of_masks_are_aligned():
    given = mask('bool')
    found = multihead_attention.additive_mask(given, torch.bfloat16)
    assert torch.equal(found == float('-inf'), given)
    assert torch.equal(found == 0, ~given)
    assert found.stride(0) % 8 == 0


def test_weights_of_attention_are_dropped_in_training_alone():
    # the kernels of GPUs know no probability of 1
    ours, theirs = (one.cpu() for one in twins(attn_drop=1.0))
    x = torch.randn(BATCH, LENGTH, CHANNELS)
    with torch.no_grad():
        # all of them: what is left is the bias
        torch.testing.assert_close(ours(x), x + ours.attn.out_proj.bias)
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))

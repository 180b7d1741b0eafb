"""Linear layers and attentions of detectors' heads are called where somebody put something in or around them."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.utils import parametrize, prune

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmcv.cnn import Linear
from mmcv.cnn.bricks.transformer import MultiheadAttention as MMCVMultiheadAttention

from swin_mmdet.detectors.box_branches import box_change, box_changes, classify
from swin_mmdet.detectors.masked_attention import MaskedAttention
from swin_mmdet.detectors.multihead_attention import MultiheadAttention, is_plain


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def branch(seed: int, *, last: type = nn.Linear, between: type = nn.ReLU) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(8, 8), between(), last(8, 4))


def called(module: nn.Module, state: torch.Tensor) -> torch.Tensor:
    return module(state).float()


STATES = torch.randn(3, 2, 5, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('function', [classify, box_changes])
@pytest.mark.parametrize('kinds', [{}, dict(last=Linear), dict(between=nn.GELU), dict(between=nn.Sigmoid)], ids=str)
def test_branches_at_once_are_each_by_itself(function: Callable, kinds: dict):
    branches = [branch(seed, **kinds) for seed in range(3)]
    expected = torch.stack([called(one, state) for one, state in zip(branches, STATES, strict=True)])
    torch.testing.assert_close(function(branches, STATES), expected)
    # one for all layers, and branches of different kinds
    torch.testing.assert_close(function(branches[:1] * 3, STATES), called(branches[0], STATES))
    branches[1] = branch(7, between=nn.Tanh)
    expected = torch.stack([called(one, state) for one, state in zip(branches, STATES, strict=True)])
    torch.testing.assert_close(function(branches, STATES), expected)


def replace_forward(layer: nn.Linear):
    layer.forward = lambda x: 3 * nn.functional.linear(x, layer.weight, layer.bias)


def hook(layer: nn.Linear):
    layer.register_forward_hook(lambda _, __, x: 3 * x)


TOUCHES = {
    'forward': replace_forward,
    'hook': hook,
    'parametrize': lambda layer: parametrize.register_parametrization(layer, 'weight', Doubled()),
    'pruning': lambda layer: prune.l1_unstructured(layer, 'weight', 0.5),
}


@pytest.mark.parametrize('function', [classify, box_changes])
@pytest.mark.parametrize('place', [0, 2])
@pytest.mark.parametrize('touch', TOUCHES)
def test_a_layer_that_is_touched_is_called(function: Callable, place: int, touch: str):
    branches = [branch(seed) for seed in range(3)]
    TOUCHES[touch](branches[1][place])
    expected = torch.stack([called(one, state) for one, state in zip(branches, STATES, strict=True)])
    torch.testing.assert_close(function(branches, STATES), expected)
    torch.testing.assert_close(box_change(branches[1][place], STATES), called(branches[1][place], STATES))
    assert (expected[1] - function([branch(seed) for seed in range(3)], STATES)[1]).abs().max() > 0.01


def test_hooks_of_all_modules_see_each_layer():
    branches, seen = [branch(seed) for seed in range(3)], []
    handle = register_module_forward_hook(lambda module, *_: seen.append(module))
    try:
        box_changes(branches, STATES)
    finally:
        handle.remove()
    layers = [one for one in seen if type(one) is not nn.Sequential]
    assert [id(layer) for one in branches for layer in one] == list(map(id, layers))


def attention(cls: type, **options) -> nn.Module:
    torch.manual_seed(0)
    made = cls(embed_dims=16, num_heads=2, batch_first=True, **options).eval()
    nn.init.normal_(made.attn.in_proj_bias)
    return made


QUERY, KEY, POSITION = (torch.randn(2, n, 16, generator=torch.Generator().manual_seed(n)) for n in (3, 5, 3))
MASK = torch.zeros(2, 1, 3, 5).masked_fill(torch.arange(30).view(2, 1, 3, 5) % 4 == 0, -torch.inf)


def touched(attn: nn.MultiheadAttention, calls: list) -> None:
    forward = attn.forward
    attn.forward = lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs)


def test_a_masked_attention_that_is_touched_is_called_and_masked():
    made = attention(MaskedAttention)
    expected = made(QUERY, KEY, KEY, POSITION, MASK)
    calls = []
    touched(made.attn, calls)
    assert not is_plain(made.attn)
    torch.testing.assert_close(made(QUERY, KEY, KEY, POSITION, MASK), expected)
    assert calls == [1]
    nowhere = made(QUERY, KEY, KEY, POSITION, torch.zeros_like(MASK))
    assert (nowhere - expected).abs().max() > 0.01


def test_an_attention_of_queries_to_themselves_that_is_touched_is_called():
    made, theirs = attention(MultiheadAttention), attention(MMCVMultiheadAttention)
    theirs.load_state_dict(made.state_dict())
    expected = theirs(QUERY, query_pos=POSITION, key_pos=POSITION)
    torch.testing.assert_close(made(QUERY, query_pos=POSITION, key_pos=POSITION), expected)
    calls = []
    touched(made.attn, calls)
    torch.testing.assert_close(made(QUERY, query_pos=POSITION, key_pos=POSITION), expected)
    assert calls == [1]


def test_pruned_weights_of_an_attention_are_those_of_now():
    made = attention(MultiheadAttention)
    prune.l1_unstructured(made.attn, 'in_proj_weight', 0.5)
    with torch.no_grad():
        made.attn.in_proj_weight_orig.mul_(3)
    twin = attention(MMCVMultiheadAttention)
    weights = made.attn.in_proj_weight_orig * made.attn.in_proj_weight_mask
    twin.load_state_dict({name: value for name, value in made.state_dict().items() if '_weight_' not in name}
                         | {'attn.in_proj_weight': weights})  # fmt: skip
    torch.testing.assert_close(made(QUERY, query_pos=POSITION), twin(QUERY, query_pos=POSITION))

"""The extra attention of HTC++ against its formula, and before a pyramid."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules

from swin_mmdet.necks import GlobalAttention
from tests.numerics import assert_equal_to_definition

CHANNELS, HEADS = 24, 3


def made(**options) -> GlobalAttention:
    """With weights so large that every part matters, in float64."""
    torch.manual_seed(0)
    neck = GlobalAttention(CHANNELS, HEADS, **options).double().eval()
    for weight in neck.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return neck


def maps(height: int, width: int, batch: int = 2, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    return (
        torch.randn(batch, 8, 2 * height, 2 * width, dtype=dtype),
        torch.randn(batch, CHANNELS, height, width, dtype=dtype),
    )


def layer_norm(x: torch.Tensor, norm: torch.nn.LayerNorm) -> torch.Tensor:
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias


def block(neck: GlobalAttention, image: torch.Tensor) -> torch.Tensor:
    """The formula, a token at a time: [C, H, W] -> [C, H, W]."""
    tokens = image.flatten(1).T
    normed = layer_norm(tokens, neck.norm1)
    q, k, v = (normed @ w.T + b for w, b in zip(neck.qkv.weight.chunk(3), neck.qkv.bias.chunk(3), strict=True))
    size = CHANNELS // HEADS
    rows = []
    for token in range(len(tokens)):
        heads = []
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            weights = torch.exp(k[:, own] @ q[token, own] / size**0.5)
            heads.append((weights / weights.sum()) @ v[:, own])
        rows.append(torch.cat(heads))
    z = tokens + torch.stack(rows) @ neck.proj.weight.T + neck.proj.bias
    hidden = layer_norm(z, neck.norm2) @ neck.mlp.fc1.weight.T + neck.mlp.fc1.bias
    hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
    z = z + hidden @ neck.mlp.fc2.weight.T + neck.mlp.fc2.bias
    return layer_norm(z, neck.norm).T.unflatten(1, image.shape[1:])


@pytest.mark.parametrize('size', [(4, 6), (3, 5), (1, 7), (1, 1)], ids=str)
def test_the_last_map_is_a_transformer_block_of_all_its_tokens(size):
    neck, given = made(), maps(*size)
    first, last = neck(given)
    assert first is given[0]
    assert_equal_to_definition(last, torch.stack([block(neck, image) for image in given[1]]))


def test_an_image_does_not_see_the_others_of_its_batch():
    neck, given = made(), maps(3, 5, batch=3)
    alone = neck([one[1:2] for one in given])[1]
    assert_equal_to_definition(neck(given)[1][1:2], alone)


def test_a_token_sees_the_farthest():
    neck, given = made(), maps(3, 5, batch=1)
    given[1].requires_grad_()
    (gradient,) = torch.autograd.grad(neck(given)[1][0, 0, 0, 0], given[1])
    assert gradient[0, :, -1, -1].abs().max() > 0


def test_a_step_leaves_out_branches_of_single_images():
    neck, given = made(drop_path_rate=0.5).train(), maps(3, 5, batch=64)
    same = (neck(given)[1] - layer_norm(given[1].permute(0, 2, 3, 1), neck.norm).permute(0, 3, 1, 2)).abs()
    skipped = int((same.flatten(1).amax(1) < 1e-9).sum())
    # both branches are left out with probability 1/4: 16 of 64, give or take 4 standard deviations
    assert 2 <= skipped <= 30
    neck.eval()
    assert_equal_to_definition(neck(given)[1], made()(given)[1])


def test_low_precision_stays_near_the_formula():
    neck, given = made().float(), maps(3, 5, dtype=torch.float32)
    with torch.autocast('cpu', torch.bfloat16):
        last = neck(given)[1]
    truth = neck.double()([one.double() for one in given])[1]
    # bf16 has 8 bits; values are about 1
    assert (last.double() - truth).abs().mean() < 0.02


def test_a_list_of_necks_feeds_a_pyramid():
    register_all_modules()
    neck = MODELS.build([
        dict(type='swin_mmdet.GlobalAttention', in_channels=CHANNELS, num_heads=HEADS),
        dict(type='FPN', in_channels=[8, CHANNELS], out_channels=16, num_outs=3),
    ])  # fmt: skip
    neck.init_weights()
    given = maps(5, 7, dtype=torch.float32)
    attention, pyramid = neck
    outs = neck(given)
    assert [tuple(out.shape) for out in outs] == [(2, 16, 10, 14), (2, 16, 5, 7), (2, 16, 3, 4)]
    assert torch.equal(outs[1], pyramid(attention(given))[1])
    sum(out.square().sum() for out in outs).backward()
    assert all(weight.grad.abs().max() > 0 for weight in attention.parameters())


@pytest.mark.parametrize(
    ('options', 'message'),
    [(dict(num_heads=5), 'in_channels=24 is not divisible by num_heads=5'), (dict(drop_path_rate=1.0), 'rate=1.0')],
    ids=['heads', 'drop path'],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GlobalAttention(CHANNELS, **dict(num_heads=HEADS) | options)

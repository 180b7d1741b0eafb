"""SwinV2: numbers and gradients against timm's model in float64, and what is its own beside V1."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swin_mmdet.models import SwinTransformerV2
from swin_mmdet.models.window_attention_v2 import WindowAttentionV2

ARCH = {'embed_dims': 16, 'depths': (2, 2, 2), 'num_heads': (1, 2, 4), 'out_indices': (0, 1, 2)}


def small(**options) -> SwinTransformerV2:
    torch.manual_seed(0)
    return SwinTransformerV2(**ARCH | {'drop_path_rate': 0.0, 'window_size': 4} | options)


def randomise(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return model


def by_definition(module: WindowAttentionV2, x: Tensor) -> Tensor:
    """Cosine attention of one image whose map is one window, from the paper's equations 2 to 4, without the op."""
    height, width, channels = x.shape
    heads = module.num_heads
    tokens = x.reshape(-1, channels)
    q = tokens @ module.qkv.weight[:channels].T + module.q_bias
    k = tokens @ module.qkv.weight[channels : 2 * channels].T
    v = tokens @ module.qkv.weight[2 * channels :].T + module.v_bias
    out = torch.empty_like(tokens)
    for head in range(heads):
        part = slice(head * channels // heads, (head + 1) * channels // heads)
        cosine = F.cosine_similarity(q[:, None, part], k[None, :, part], dim=-1)
        temperature = 1 / module.logit_scale[head].exp().clamp(max=100)
        logits = cosine / temperature
        for one in range(height * width):
            for other in range(height * width):
                offsets = torch.tensor([one // width - other // width, one % width - other % width], dtype=x.dtype)
                offsets = offsets * 8 / (module.window_size - 1)
                logged = offsets.sign() * torch.log2(1 + offsets.abs()) / math.log2(8)
                logits[one, other] += 16 * torch.sigmoid(module.cpb_mlp(logged)[head])
        out[:, part] = logits.softmax(-1) @ v[:, part]
    return module.proj(out).reshape(x.shape)


@pytest.mark.parametrize('backend', ['reference', 'sdpa', 'tiled'])
def test_attention_follows_the_papers_equations(backend: str):
    torch.manual_seed(0)
    module = randomise(WindowAttentionV2(8, 2, window_size=3, shift_size=0, attn_backend=backend)).double()
    nn.init.constant_(module.logit_scale, 6.0)  # beyond the clamp at log 100
    module.relative_coords_table = module.relative_coords_table.double()
    x = torch.randn(1, 3, 3, 8, dtype=torch.float64)
    # the table is made in float32
    torch.testing.assert_close(module(x)[0], by_definition(module, x[0]), rtol=0, atol=1e-5)


def test_outputs_and_gradients_are_those_of_timm():
    timm = pytest.importorskip('timm')
    torch.manual_seed(0)
    theirs = timm.models.swin_transformer_v2.SwinTransformerV2(
        img_size=64, embed_dim=16, depths=(2, 2), num_heads=(1, 2), window_size=4, drop_path_rate=0.0
    )
    theirs = randomise(theirs).double().eval()
    ours = small(depths=(2, 2), num_heads=(1, 2), out_indices=(0, 1)).double().eval()
    ours.load_state_dict(
        {key: value for key, value in theirs.state_dict().items() if not key.startswith(('norm', 'head'))}
    )
    image = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    expected = [
        F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2)
        for x in theirs.forward_intermediates(image, intermediates_only=True)
    ]
    found = ours(image)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    weights = [torch.randn_like(x) for x in expected]
    for maps in (found, expected):
        sum((x * weight).sum() for x, weight in zip(maps, weights, strict=True)).backward()
    theirs_by_name = dict(theirs.named_parameters())
    compared = 0
    for name, parameter in ours.named_parameters():
        if name.startswith('norm'):
            continue
        key = name.replace('stages.0.downsample', 'layers.1.downsample').replace('stages.', 'layers.')
        scale = theirs_by_name[key].grad.abs().max()
        torch.testing.assert_close(parameter.grad, theirs_by_name[key].grad, rtol=0, atol=1e-6 * max(scale, 1))
        compared += 1
    assert compared == len(theirs_by_name) - 4  # norm and head


@pytest.mark.parametrize('size', [(64, 64), (50, 70), (13, 9), (200, 36)], ids=str)
def test_backends_agree_at_any_size(size: tuple[int, int]):
    image = torch.randn(2, 3, *size, dtype=torch.float64)
    names = 'reference', 'sdpa', 'tiled'
    maps = [randomise(small(attn_backend=name)).double().eval()(image) for name in names]
    for stage, (one, *others) in enumerate(zip(*maps, strict=True)):
        side = 4 * 2**stage
        assert one.shape == (2, 16 * 2**stage, math.ceil(size[0] / side), math.ceil(size[1] / side))
        for other in others:
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_a_new_block_is_the_identity():
    """Residual post-norms start at zero, as the official code has them."""
    model = small().eval()
    x = torch.randn(1, 8, 8, 16)
    assert torch.equal(model.stages[0].blocks[1](x), x)
    assert model.stages[0].blocks[0].attn.logit_scale.flatten().tolist() == [pytest.approx(math.log(10))]


def test_windows_and_their_pretrained_sizes_for_each_stage():
    model = small(window_size=(8, 8, 4), pretrained_window_size=(4, 4, 2))
    assert [stage.blocks[1].attn.window_size for stage in model.stages] == [8, 8, 4]
    assert [stage.blocks[1].attn.shift_size for stage in model.stages] == [4, 4, 2]
    edges = [stage.blocks[0].attn.relative_coords_table.max().item() for stage in model.stages]
    assert edges == pytest.approx([math.log2(1 + 8 * reach) / 3 for reach in (7 / 3, 7 / 3, 3 / 1)])
    for options, message in (
        ({'window_size': (4, 4)}, r'window_size=\(4, 4\) must be one integer, or one for each of the 3 stages'),
        ({'pretrained_window_size': -1}, 'pretrained_window_size=-1 must be an integer of at least 0'),
        ({'window_size': 0}, 'window_size=0 must be an integer of at least 1'),
    ):
        with pytest.raises(ValueError, match=message):
            small(**options)


def test_checkpointing_and_freezing_are_those_of_v1():
    image = torch.randn(1, 3, 40, 40)
    plain, checkpointed = randomise(small()), randomise(small(with_cp=True))
    checkpointed.load_state_dict(plain.state_dict())
    gradients = []
    for model in (plain, checkpointed):
        sum(x.square().mean() for x in model(image)).backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    assert all(grad is not None for grad in gradients[0])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    frozen = small(frozen_stages=2).train()
    trained = {name.split('.')[0] + name.split('.')[1] for name, p in frozen.named_parameters() if p.requires_grad}
    assert trained == {'stages2', 'norm2weight', 'norm2bias'}


def test_mixed_precision_stays_near_full_precision():
    model = randomise(small()).eval()
    image = torch.randn(1, 3, 50, 70)
    with torch.no_grad():
        expected = model(image)
        with torch.autocast('cpu', torch.bfloat16):
            found = model(image)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=0, atol=0.2)


def test_checkpoints_hold_nothing_that_can_be_computed():
    keys = small().state_dict()
    assert not [key for key in keys if 'relative' in key]
    assert {key.rpartition('attn.')[2] for key in keys if 'attn.' in key} == {
        'qkv.weight', 'q_bias', 'v_bias', 'logit_scale', 'cpb_mlp.0.weight', 'cpb_mlp.0.bias', 'cpb_mlp.2.weight',
        'proj.weight', 'proj.bias',
    }  # fmt: skip


@pytest.mark.parametrize('arch', ['tiny', 'small', 'base', 'large'])
def test_variants_have_the_parameters_of_timms_models(arch: str):
    timm = pytest.importorskip('timm')
    variants = {
        'tiny': 'tiny_window8_256',
        'small': 'small_window8_256',
        'base': 'base_window8_256',
        'large': 'large_window12_192',
    }
    with torch.device('meta'):
        theirs = timm.create_model(f'swinv2_{variants[arch]}', num_classes=0)
        ours = SwinTransformerV2(arch=arch)
    expected = sum(p.numel() for name, p in theirs.named_parameters() if not name.startswith('norm'))
    assert sum(p.numel() for name, p in ours.named_parameters() if not name.startswith('norm')) == expected

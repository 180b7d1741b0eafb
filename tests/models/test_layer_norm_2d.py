"""LayerNorm of maps."""

import pytest
import torch
from mmcv.cnn import ConvModule, build_norm_layer

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.models import LayerNorm2d


@pytest.mark.parametrize('size', [(2, 6, 5, 3), (1, 4, 1, 7), (0, 3, 2, 2)], ids=str)
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last], ids=str)
def test_it_is_the_definition(size: tuple[int, ...], memory_format: torch.memory_format):
    torch.manual_seed(0)
    norm = LayerNorm2d(size[1], eps=1e-3).double()
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(size, dtype=torch.float64).contiguous(memory_format=memory_format)
    mean = x.mean(1, keepdim=True)
    variance = ((x - mean) ** 2).mean(1, keepdim=True)
    truth = (x - mean) / (variance + 1e-3).sqrt() * norm.weight[:, None, None] + norm.bias[:, None, None]
    assert norm(x).shape == x.shape
    torch.testing.assert_close(norm(x), truth)


def test_a_config_puts_it_behind_a_convolution():
    cfg = dict(type='swin_mmdet.LayerNorm2d', eps=1e-6)
    name, norm = build_norm_layer(cfg, 8)
    assert (name, type(norm), norm.eps, tuple(norm.weight.shape)) == ('ln', LayerNorm2d, 1e-6, (8,))
    module = ConvModule(3, 8, 3, padding=1, norm_cfg=cfg)
    assert module.conv.bias is None
    assert module(torch.randn(2, 3, 5, 4)).shape == (2, 8, 5, 4)

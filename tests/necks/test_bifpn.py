"""BiFPN against the equations of its paper (arXiv 1911.09070), in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import swin_mmdet.compat  # noqa: F401  before mmcv

# isort: split
from swin_mmdet.necks import BiFPN

GN = dict(type='GN', num_groups=2)


def conv(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    weight = state[f'{name}.conv.weight']
    bias = state.get(f'{name}.conv.bias')
    out = F.conv2d(x, weight, bias, padding=weight.shape[2] // 2)
    if f'{name}.gn.weight' in state:
        out = F.group_norm(out, 2, state[f'{name}.gn.weight'], state[f'{name}.gn.bias'])
    return out


def fuse(weights: Tensor, *maps: Tensor) -> Tensor:
    weights = weights.flatten().clamp(min=0)
    mean = sum(w * one for w, one in zip(weights, maps)) / (weights.sum() + 1e-4)
    return mean * mean.sigmoid()


def enlarge(x: Tensor, size: torch.Size) -> Tensor:
    rows, columns = (torch.arange(new) * old // new for new, old in zip(size, x.shape[2:]))
    return x[:, :, rows][:, :, :, columns]


def shrink(x: Tensor) -> Tensor:
    """The largest of 3x3, every second one."""
    x = F.pad(x, (1, 1, 1, 1), value=-torch.inf)
    return x.unfold(2, 3, 2).unfold(3, 3, 2).amax((4, 5))


def three_levels(state: dict[str, Tensor], name: str, maps: list[Tensor]) -> list[Tensor]:
    """One pass over levels 3, 4, 5, each equation as it stands in section 3.3."""
    has_lateral = f'{name}.lateral_convs.0.conv.weight' in state
    in3, in4, in5 = (
        conv(state, f'{name}.lateral_convs.{i}', x) if has_lateral else x for i, x in enumerate(maps)
    )
    td4 = conv(
        state, f'{name}.lateral_combine_conv.1',
        fuse(state[f'{name}.lateral_combine.1.weights'], in4, enlarge(in5, in4.shape[2:])),
    )
    out3 = conv(
        state, f'{name}.lateral_combine_conv.0',
        fuse(state[f'{name}.lateral_combine.0.weights'], in3, enlarge(td4, in3.shape[2:])),
    )
    out4 = conv(
        state, f'{name}.out_combine_conv.0', fuse(state[f'{name}.out_combine.0.weights'], shrink(out3), td4, in4)
    )
    out5 = conv(state, f'{name}.out_combine_conv.1', fuse(state[f'{name}.out_combine.1.weights'], shrink(out4), in5))
    return [out3, out4, out5]


@pytest.mark.parametrize('norm_cfg', [None, GN], ids=['plain', 'GN'])
@pytest.mark.parametrize('size', [(16, 24), (13, 9)], ids=str)
def test_equals_the_papers_equations(size: tuple[int, int], norm_cfg: dict | None):
    torch.manual_seed(0)
    neck = BiFPN([3, 5], out_channels=4, num_outs=3, num_repeat=2, norm_cfg=norm_cfg).double()
    state = neck.state_dict()
    for name, value in state.items():
        if name.endswith('weights'):
            value.copy_(torch.randn(value.shape))  # some are below 0, and count as 0
    height, width = size
    fine = torch.randn(2, 3, height, width).double()
    coarse = torch.randn(2, 5, -(-height // 2), -(-width // 2)).double()

    outs = neck([fine, coarse])

    wanted = [fine, coarse, shrink(coarse)]
    for index in range(2):
        wanted = three_levels(state, f'bi_fpn.{index}', wanted)
    assert [out.shape for out in outs] == [one.shape for one in wanted]
    for out, one in zip(outs, wanted):
        torch.testing.assert_close(out, one, rtol=0, atol=1e-10)


def test_every_parameter_has_a_gradient():
    neck = BiFPN([6, 8, 10], out_channels=4, num_outs=5, norm_cfg=GN)
    outs = neck([torch.randn(1, channels, size, size) for channels, size in ((6, 20), (8, 10), (10, 5))])
    assert [tuple(out.shape) for out in outs] == [(1, 4, size, size) for size in (20, 10, 5, 3, 2)]
    sum(out.square().sum() for out in outs).backward()
    assert not [name for name, parameter in neck.named_parameters() if parameter.grad is None]


def test_refuses_what_makes_no_pyramid():
    with pytest.raises(ValueError, match='num_outs=2'):
        BiFPN([4, 4, 4], num_outs=2)
    with pytest.raises(ValueError, match='num_repeat=0'):
        BiFPN([4], num_repeat=0)
    with pytest.raises(ValueError, match='2 maps'):
        BiFPN([4], out_channels=4, num_outs=1)([torch.zeros(1, 4, 2, 2)] * 2)

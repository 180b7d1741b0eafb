"""Counts of single layers, worked by hand."""

import pytest
import torch
from torch import nn
from torchvision.ops import DeformConv2d

from swin_mmdet.analysis.operations import OperationCounter
from swin_mmdet.analysis.parts import PartTracker
from swin_mmdet.analysis.saved_tensors import SavedTensors
from swin_mmdet.models.window_attention import WindowAttention
from swin_mmdet.models.window_attention_v2 import WindowAttentionV2


def count(module, *inputs, part='backbone'):
    """(multiply-adds, those of the paper's convention, output) of a module that is the part of this name."""
    with PartTracker({part: module}) as tracker, torch.no_grad():
        counter = OperationCounter(tracker)
        with counter.watch(module):
            out = module(*inputs)
    assert set(counter.macs) <= {part}
    return counter.macs[part], counter.paper_macs[part], out


def test_a_linear_layer_multiplies_every_input_of_a_row_for_every_output():
    macs, paper, out = count(nn.Linear(5, 7), torch.ones(2, 3, 5))
    assert macs == paper == 2 * 3 * 5 * 7
    assert out.shape == (2, 3, 7)
    assert not out.any(), 'computed, not only counted'


def test_a_convolution_multiplies_its_kernel_at_every_output():
    # 3 x 3, stride 2, padding 1: 10 x 13 becomes 5 x 7
    macs, paper, out = count(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), torch.ones(1, 4, 10, 13))
    assert out.shape == (1, 8, 5, 7)
    assert macs == paper == 8 * 5 * 7 * (4 // 2) * 9


def test_a_deformable_convolution_counts_as_a_plain_one():
    layer = DeformConv2d(4, 6, 3, padding=1, groups=2)
    macs, _, out = count(layer, torch.ones(1, 4, 9, 8), torch.zeros(1, 18, 9, 8))
    assert out.shape == (1, 6, 9, 8)
    assert macs == 6 * 9 * 8 * (4 // 2) * 9


@pytest.mark.parametrize(('height', 'width', 'rows', 'columns'), [(14, 21, 14, 21), (10, 15, 14, 21), (3, 7, 7, 7)])
@pytest.mark.parametrize('shift_size', [0, 3])
def test_window_attention_is_the_papers_formula(height, width, rows, columns, shift_size):
    """4 h w C^2 + 2 M^2 h w C (arXiv 2103.14030, equation 2), padded where the code at hand pads."""
    channels, window = 32, 7
    layer = WindowAttention(channels, 2, window, shift_size, attn_backend='reference')
    macs, paper, _ = count(layer, torch.ones(2, height, width, channels))
    products = 2 * window**2 * rows * columns * channels
    assert macs == 2 * (4 * height * width * channels**2 + products)
    assert paper == 2 * (4 * rows * columns * channels**2 + products)


def test_attention_of_v2_adds_the_network_of_its_position_bias():
    layer = WindowAttentionV2(32, 2, 8, 0, attn_backend='reference')
    macs, paper, _ = count(layer, torch.ones(1, 8, 16, 32))
    assert macs == paper == 4 * 8 * 16 * 32**2 + 2 * 8**2 * 8 * 16 * 32 + 15**2 * (2 * 512 + 512 * 2)


class Samples(nn.Module):
    def forward(self, image, grid):
        return nn.functional.grid_sample(image, grid, align_corners=False)


class Bag(nn.EmbeddingBag):
    def forward(self, places, weights):
        return super().forward(places, per_sample_weights=weights)


def test_samples_of_deformable_attention_are_not_in_the_papers():
    macs, paper, out = count(Samples(), torch.ones(1, 3, 9, 9), torch.zeros(1, 5, 7, 2), part='bbox_head')
    assert out.shape == (1, 3, 5, 7)
    assert (macs, paper) == (4 * 3 * 5 * 7, 0)
    bag = Bag(20, 6, mode='sum')
    macs, paper, out = count(bag, torch.zeros(4, 8, dtype=torch.long), torch.ones(4, 8), part='bbox_head')
    assert out.shape == (4, 6)
    assert (macs, paper) == (4 * 8 * 6, 0)


class Attention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x, need_weights=False)[0]


@pytest.mark.parametrize('training', [True, False])
def test_attention_of_a_head_is_counted_but_its_products_are_not_in_the_papers(training):
    layer = Attention(16, 2, batch_first=True).train(training)
    macs, paper, _ = count(layer, torch.ones(1, 10, 16), part='bbox_head')
    assert macs == 4 * 10 * 16**2 + 2 * 10 * 10 * 16
    assert paper == 4 * 10 * 16**2
    assert count(layer, torch.ones(1, 10, 16), part='neck')[:2] == (macs, macs)


def test_operations_belong_to_the_innermost_part():
    inner, outer = nn.Linear(2, 3, bias=False), nn.Linear(4, 2, bias=False)
    model = nn.Sequential(outer, inner)
    with PartTracker({'all': model, 'inner': inner}) as tracker:
        counter = OperationCounter(tracker)
        with counter.watch(model):
            model(torch.ones(1, 4))
            torch.ones(1, 5) @ torch.ones(5, 1)
    assert counter.macs == {'all': 8, 'inner': 6, 'other': 5}
    assert not model._forward_hooks
    assert not inner._forward_pre_hooks


def test_saved_bytes_are_those_of_each_storage_once_without_parameters():
    layer = nn.Linear(4, 8)
    model = nn.Sequential(layer, nn.ReLU())
    x = torch.ones(3, 4)
    with PartTracker({'layer': layer}) as tracker:
        saved = SavedTensors(tracker, model)
        with saved:
            model(x)
            model(x)
    # the layer keeps its input, once for both calls; the activation each of its outputs
    assert saved.bytes == {'layer': 3 * 4 * 4, 'other': 2 * 3 * 8 * 4}

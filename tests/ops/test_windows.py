"""Windows, masks and bias tables."""

import math

import pytest
import torch

from swin_mmdet.ops.relative_position import (
    relative_position_bias,
    relative_position_index,
    resize_bias_table,
    window_size_of_table,
)
from swin_mmdet.ops.windows import pad_to_windows, padded_size, shift_mask, window_partition, window_reverse
from tests.numerics import assert_equal_to_definition


@pytest.mark.parametrize(('size', 'padded'), [(1, 7), (7, 7), (8, 14), (14, 14)])
def test_padded_size_is_the_next_multiple(size, padded):
    assert padded_size(size, 7) == padded


def test_partition_lists_windows_and_tokens_row_by_row():
    x = torch.arange(4 * 6).reshape(1, 4, 6, 1)
    windows = window_partition(x, 2)
    assert windows.shape == (1, 6, 4, 1)
    assert windows[0, 4, :, 0].tolist() == [14, 15, 20, 21]


def test_reverse_undoes_partition():
    x = torch.randn(3, 14, 21, 5)
    assert torch.equal(window_reverse(window_partition(x, 7), 7, 14, 21), x)


def test_the_gradient_of_the_pad_value_counts_the_padding_tokens():
    value = torch.zeros(2, requires_grad=True)
    pad_to_windows(torch.zeros(3, 5, 6, 2), 7, value).sum().backward()
    assert value.grad.tolist() == [3 * (49 - 30)] * 2


@pytest.mark.parametrize(('height', 'width'), [(14, 21), (7, 7), (21, 7)])
def test_the_mask_separates_exactly_the_tokens_that_wrapped(height, width):
    shift, window = 3, 7
    mask = shift_mask(height, width, window, shift, torch.float64, torch.device('cpu'))
    number = 0
    for top in range(0, height, window):
        for left in range(0, width, window):
            places = [((y + shift) % height, (x + shift) % width, y + shift >= height, x + shift >= width)
                      for y in range(top, top + window) for x in range(left, left + window)]  # fmt: skip
            expected = [[0.0 if a[2:] == b[2:] else float('-inf') for b in places] for a in places]
            assert mask[number].tolist() == expected
            number += 1
    assert number == len(mask)


def test_a_mask_made_in_inference_serves_training():
    shift_mask.cache_clear()
    with torch.inference_mode():
        shift_mask(14, 14, 7, 3, torch.float32, torch.device('cpu'))
    logits = torch.zeros(4, 49, 49, requires_grad=True)
    mask = shift_mask(14, 14, 7, 3, torch.float32, torch.device('cpu'))
    (logits * mask.exp()).sum().backward()
    assert shift_mask.cache_info().misses == 1


def test_the_index_counts_offsets_row_first():
    index = relative_position_index(2)
    # tokens 0..3 are (0,0), (0,1), (1,0), (1,1); a row is (dy + 1) * 3 + (dx + 1), query minus key
    assert index.tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


def test_an_index_made_in_inference_serves_training():
    relative_position_index.cache_clear()
    table = torch.zeros(25, 2, requires_grad=True)
    with torch.inference_mode():
        relative_position_bias(table, 3)
    relative_position_bias(table, 3).sum().backward()
    assert relative_position_index.cache_info().misses == 1
    assert table.grad.sum() == 2 * 81


def test_the_bias_of_a_pair_is_the_row_of_its_offset():
    table = torch.randn(25, 2)
    bias = relative_position_bias(table, 3)
    assert bias.shape == (2, 9, 9)
    # query (2, 0) and key (0, 1): offset (2, -1)
    assert torch.equal(bias[:, 6, 1], table[(2 + 2) * 5 + (-1 + 2)])


def test_resizing_a_table_to_its_own_window_changes_nothing():
    table = torch.randn(169, 3)
    assert torch.equal(resize_bias_table(table, 7), table)


def cubic(x, a=-0.75):
    """Keys' cubic convolution kernel with the sharpness that PyTorch and OpenCV use."""
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def bicubic(image, side):
    """Resize a square image [s, s] by the formula, pixel centres aligned, border pixels repeated."""
    old = image.shape[0]
    weights = torch.zeros(side, old, dtype=torch.float64)
    for row in range(side):
        place = (row + 0.5) * old / side - 0.5
        for tap in range(math.floor(place) - 1, math.floor(place) + 3):
            weights[row, min(max(tap, 0), old - 1)] += cubic(place - tap)
    return weights @ image.double() @ weights.T


@pytest.mark.parametrize('window_size', [4, 8, 12, 16])
def test_a_table_is_resized_by_the_bicubic_formula(window_size):
    table = torch.randn(169, 3, generator=torch.Generator().manual_seed(0))
    side = 2 * window_size - 1
    resized = resize_bias_table(table, window_size)
    for head in range(3):
        expected = bicubic(table[:, head].reshape(13, 13), side)
        assert_equal_to_definition(resized[:, head].reshape(side, side), expected)


def test_a_table_of_no_square_window_is_refused():
    with pytest.raises(ValueError, match='170 rows'):
        window_size_of_table(torch.zeros(170, 3))

"""What is read from an annotation's mask, and what is refused."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swin_mmdet.structures.segmentation import MaskError, readable_mask, run_lengths
from tests.laws import law


def text_of(lengths: list[int]) -> str:
    """Run lengths as COCO writes them: `rleToString` of its maskApi.c."""
    text = ''
    for place, length in enumerate(lengths):
        rest = length - lengths[place - 2] if place > 2 else length
        more = True
        while more:
            digit, rest = rest & 31, rest >> 5
            more = rest != (-1 if digit & 16 else 0)
            text += chr(48 + digit + 32 * more)
    return text


@law(150)
@given(lengths=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=9))
def test_what_is_written_is_read(lengths: list[int]):
    text = text_of(lengths)
    for counts in (text, text.encode(), lengths, tuple(lengths), [float(length) for length in lengths]):
        found = run_lengths(counts)
        assert found.dtype == np.int64
        assert found.tolist() == lengths


@pytest.mark.parametrize('counts', [
    '', 'é1', '1é', '\ud8001', '/', 'p', '1p', text_of([2**36]), text_of([5, 3, 2]) + text_of([-4]), text_of([-1]),
    ['1'], [-1], [True], [1.5], [float('nan')], [2**32], [2**70], [1e10], [[1, 2], [3]], [[1, 2], [3, 4]],
    [None], 7, {1: 2},
], ids=repr)  # fmt: skip
def test_what_is_no_run_length_is_refused(counts: object):
    assert run_lengths(counts) is None


def test_no_lengths_are_an_image_without_pixels():
    assert run_lengths([]).tolist() == []


SQUARE = [0, 0, 4, 0, 4, 4, 0, 4]


@pytest.mark.parametrize(('mask', 'kept'), [
    ([SQUARE], [SQUARE]),
    ([SQUARE, SQUARE[:4], SQUARE[:7], SQUARE[:6]], [SQUARE, SQUARE[:6]]),
    ([SQUARE[:4]], None),
    ({'size': [4, 5], 'counts': [3, 17]}, {'size': [4, 5], 'counts': [3, 17]}),
    ({'size': (4, 5), 'counts': [3.0, 17.0]}, {'size': [4, 5], 'counts': [3, 17]}),
    ({'size': np.array([4, 5]), 'counts': text_of([20])}, {'size': [4, 5], 'counts': text_of([20])}),
    ({'size': [4, 5]}, None), ({'counts': [20]}, None), ({'size': None, 'counts': [20]}, None),
])  # fmt: skip
def test_what_mmdet_would_keep_is_kept(mask: object, kept: object):
    assert readable_mask(mask, 4, 5) == kept


@pytest.mark.parametrize(('mask', 'kind'), [
    (None, 'mask_missing'), ([], 'mask_missing'), ((), 'mask_missing'), ('text', 'mask_type'), (3, 'mask_type'),
    (SQUARE, 'mask_flat'), ([0.5, 1], 'mask_flat'), ([SQUARE, 3], 'mask_type'), (['a', 1], 'mask_type'),
    ([[[0, 0], [4, 0], [4, 4]]], 'mask_points'), ([np.zeros((3, 2))], 'mask_points'),
    ([[0, 0, 4, 0, 4, 'a']], 'mask_numbers'), ([[0, 0, 4, 0, 4, float('nan')]], 'mask_numbers'),
    ([np.array([0, 0, 4, 0, 4, np.inf])], 'mask_numbers'),
    # 2 * 4e6 pixels around and 4e6 to the corner
    ([[0, 0, 4e6, 0, 4e6, 1]], 'mask_numbers'), ([SQUARE, [0, 0, 4, 0, None, 1]], 'mask_numbers'),
    ({'size': [5, 4], 'counts': [20]}, 'mask_size'), ({'size': [4, 5, 1], 'counts': [20]}, 'mask_size'),
    ({'size': '45', 'counts': [20]}, 'mask_size'),
    ({'size': [4, 5], 'counts': [19]}, 'mask_counts'), ({'size': [4, 5], 'counts': [25, -5]}, 'mask_counts'),
])  # fmt: skip
def test_what_cannot_be_loaded_is_named(mask: object, kind: str):
    with pytest.raises(MaskError) as raised:
        readable_mask(mask, 4, 5)
    assert raised.value.kind == kind


def test_an_outline_is_long_by_its_pixels_and_its_way_from_the_corner():
    """Up to ten million in all: twice the width and the way to the right end."""
    assert readable_mask([[0, 0, 10**7 / 3, 0, 0, 0]], 4, 5)
    with pytest.raises(MaskError):
        readable_mask([[0, 0, 10**7 / 3 + 1, 0, 0, 0]], 4, 5)
    assert readable_mask([[0, -(10**7) / 3, 0, 0, 0, 0]], 4, 5)


def test_another_size_is_told():
    words = "an RLE with another 'size' than its image: RLE of size [5, 4], image of [4, 5]"
    with pytest.raises(MaskError, match=f'^{re.escape(words)}$'):
        readable_mask({'size': [5, 4], 'counts': [20]}, 4.0, 5)

"""What the proof of an export lets pass and what not."""

from dataclasses import replace

import numpy as np
import pytest

from swin_mmdet.export.proof import Limits, check, compare
from swin_mmdet.export.runtime import Found

LIMITS = Limits(0.1, 1e-3, 0.99)
SIZE = 40, 60


def found(boxes, scores, labels, masks=None):
    return Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels), masks)


def masks(*corners):
    every = np.zeros((len(corners), *SIZE), bool)
    for mask, (y, x) in zip(every, corners):
        mask[y : y + 10, x : x + 20] = True
    return every


ONE, TWO = [0, 0, 20, 10], [30, 5, 50, 30]
TRUTH = found([ONE, TWO], [0.9, 0.4], [1, 0], masks((0, 0), (5, 30)))


def test_the_same_in_another_order_is_the_same():
    other = found([TWO, ONE], [0.4, 0.9], [0, 1], masks((5, 30), (0, 0)))
    difference = compare(other, TRUTH, SIZE, LIMITS, 0.05)
    assert difference.within(LIMITS)
    assert (difference.pairs, difference.boxes, difference.scores, difference.masks) == (2, 0.0, 0.0, 1.0)


@pytest.mark.parametrize('other', [
    found([[0, 0, 20.2, 10], TWO], [0.9, 0.4], [1, 0], TRUTH.masks),
    found([ONE, TWO], [0.902, 0.4], [1, 0], TRUTH.masks),
    found([ONE, TWO], [0.9, 0.4], [1, 1], TRUTH.masks),
    found([ONE, TWO], [0.9, 0.4], [1, 0], masks((0, 1), (5, 30))),
    found([ONE], [0.9], [1], TRUTH.masks[:1]),
    found([ONE, TWO, TWO], [0.9, 0.4, 0.4], [1, 0, 0], masks((0, 0), (5, 30), (5, 30))),
    found([], [], [], TRUTH.masks[:0]),
], ids=['box', 'score', 'label', 'mask', 'missing', 'twice', 'nothing'])  # fmt: skip
def test_what_differs_is_refused(other, user_error):
    difference = compare(other, TRUTH, SIZE, LIMITS, 0.05)
    assert not difference.within(LIMITS)
    with pytest.raises(user_error, match=r'model\.onnx is not kept: .*40x60: '):
        check([difference], LIMITS, 'model.onnx')


def test_half_precision_may_move_the_border_of_a_small_mask():
    """As far as the limit of boxes lets it: of a mask of 20 x 10, a tenth of a pixel on each of its four sides."""
    fewer = TRUTH.masks.copy()
    fewer[0, 0, :6] = False
    other, wide = TRUTH._replace(masks=fewer), replace(LIMITS, border=0.1)
    assert compare(other, TRUTH, SIZE, wide, 0.05).within(wide)
    assert compare(other, TRUTH, SIZE, LIMITS, 0.05).masks == pytest.approx(1 - 5 / 200)
    fewer[0, 1, :6] = False
    assert not compare(other, TRUTH, SIZE, wide, 0.05).within(wide)


def test_one_of_the_threshold_may_be_missing():
    """Which of those there is no room for is not decided by what the network says."""
    other = found([ONE], [0.9], [1], TRUTH.masks[:1])
    assert compare(other, TRUTH, SIZE, LIMITS, 0.3995).within(LIMITS)
    assert not compare(other, TRUTH, SIZE, LIMITS, 0.39).within(LIMITS)


def test_an_image_without_objects_is_the_same_as_another():
    nothing = found([], [], [], TRUTH.masks[:0])
    assert compare(nothing, nothing, SIZE, LIMITS, 0.05).within(LIMITS)

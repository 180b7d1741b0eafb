"""Curves of a training that was short, and at rates that are small."""

import re

import numpy as np
import pytest

from swin_mmdet.report.curves import curves
from swin_mmdet.report.evaluation import best_threshold
from swin_mmdet.report.figures import loss_figure, rate_figure
from swin_mmdet.report.history import History, Series


def history(iterations: list[int]) -> History:
    rates = Series(iterations, [0.0001875 / (1 + number) for number in range(len(iterations))])
    return History({'loss': Series(iterations, [1.5] * len(iterations)), 'lr': rates})


@pytest.mark.parametrize(('iterations', 'points'), [([9], 2), ([9, 19, 29], 0)])
def test_one_logged_line_is_a_point_for_a_line_of_it_would_not_be_seen(iterations: list[int], points: int):
    """In the curve, and in its legend."""
    assert str(loss_figure(history(iterations))).count('<use xlink:href="#losses-m') == points


def test_small_numbers_have_room_beside_the_axis():
    text = str(rate_figure(history([9, 19, 29])))
    numbers = re.findall(r'>(\d[^<]*)</text>', text)
    assert '1.2e-4' in numbers
    assert max(map(len, numbers)) <= 7


def test_iterations_after_the_last_logged_line_count_where_they_were_evaluated():
    run = history([9])
    run.evaluations['bbox_mAP'] = Series([10], [0.0])
    assert run.last_iteration == 10
    assert History().last_iteration == 0


def test_where_nothing_was_found_errors_are_those_that_predict_would_draw():
    score = np.array([0.9, 0.2, 0.1])
    assert best_threshold(curves(score, np.array([False, True, False]), 1)) == 0.2
    assert best_threshold(curves(score, np.zeros(3, bool), 1)) == 0.3
    assert best_threshold(curves(score[:0], np.zeros(0, bool), 1)) == 0.3

"""The tables of an evaluation, letter by letter."""

import numpy as np

from swin_mmdet.evaluation.report import class_table, summary_table
from swin_mmdet.evaluation.scores import CocoScores

IOU_THRS = np.array([0.5, 0.75])


def scores():
    """Of two categories, the second without ground truth, and of areas small, medium and large the second alone."""
    precision = np.full((2, 101, 2, 4, 3), -1.0)
    precision[0, :, 0, [0, 2]], precision[1, :, 0, [0, 2]] = 0.75, 0.25
    recall = np.full((2, 2, 4, 3), -1.0)
    for count, value in enumerate((0.25, 0.5, 1.0)):
        recall[:, 0, [0, 2], count] = value
    return CocoScores('bbox', precision, recall, IOU_THRS, (1, 10, 100), (3, 7), {3: 12})


def test_a_row_for_each_category():
    assert class_table(scores(), {7: 'a long name', 3: 'cat'}).splitlines() == [
        '| bbox x 100  | instances |   AP | AP50 | AP75 | AP small | AP medium | AP large |    AR |',
        '|-------------|----------:|-----:|-----:|-----:|---------:|----------:|---------:|------:|',
        '| a long name |         0 |    - |    - |    - |        - |         - |        - |     - |',
        '| cat         |        12 | 50.0 | 75.0 | 25.0 |        - |      50.0 |        - | 100.0 |',
    ]


def test_a_row_for_each_number():
    assert summary_table(scores()).splitlines() == [
        '| bbox x 100 |       |',
        '|------------|------:|',
        '| mAP        |  50.0 |',
        '| mAP_50     |  75.0 |',
        '| mAP_75     |  25.0 |',
        '| mAP_s      |     - |',
        '| mAP_m      |  50.0 |',
        '| mAP_l      |     - |',
        '| AR@1       |  25.0 |',
        '| AR@10      |  50.0 |',
        '| AR@100     | 100.0 |',
        '| AR_s@100   |     - |',
        '| AR_m@100   | 100.0 |',
        '| AR_l@100   |     - |',
    ]

"""A confusion matrix as a page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swin_mmdet.report.confusion import confusion_matrix, most_confused, summed
from swin_mmdet.report.matching import Matching

LARGEST = 40
OTHERS = 'other classes'


@dataclass(frozen=True)
class Cell:
    """count: of objects; share: of its row, 0 to 1; title: in words."""

    count: int
    share: float
    title: str
    is_right: bool


@dataclass(frozen=True)
class ConfusionView:
    """Rows and columns by name, and the pairs of classes (true, detected, count) that are confused most."""

    rows: list[str]
    columns: list[str]
    cells: list[list[Cell]]
    pairs: list[tuple[str, str, int]]
    is_summed: bool


def confusion_view(matching: Matching, names: Sequence[str], min_score: float) -> ConfusionView:
    """Of the detections with this score at least; of very many classes those of most errors."""
    counts = confusion_matrix(matching, min_score)
    shown_counts, shown = summed(counts, LARGEST)
    is_summed = len(shown) < len(names)
    titles = [names[index] for index in shown] + [OTHERS] * is_summed
    rows, columns = [*titles, 'background'], [*titles, 'missed']
    totals = np.maximum(shown_counts.sum(axis=1), 1)
    cells = [
        [
            Cell(
                int(value),
                float(value / totals[i]),
                f'{rows[i]} as {columns[j]}: {value} ({100 * value / totals[i]:.0f} % of the row)',
                i == j and i < len(shown),
            )
            for j, value in enumerate(row)
        ]
        for i, row in enumerate(shown_counts)
    ]
    pairs = [(names[true], names[detected], number) for true, detected, number in most_confused(counts)]
    return ConfusionView(rows, columns, cells, pairs, is_summed)

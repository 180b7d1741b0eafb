"""Which classes are taken for which."""

import numpy as np

from swin_mmdet.report.matching import Matching


def confusion_matrix(matching: Matching, min_score: float) -> np.ndarray:
    """Counts [K + 1, K + 1] of objects of a class (rows) and of what was detected there (columns).

    The last row is background: detections where no object is left. The last column has objects that were not found.
    What the evaluation counts as found comes first; the detections and objects that are left become pairs by their
    IoU, the largest first. So the diagonal has the right detections, a row all objects of a class and a column all
    detections of it. Those in crowds are left out.

    Args:
        min_score: of the detections that count.
    """
    classes = len(matching.cat_ids)
    counted = (matching.score >= min_score) & ~matching.ignored
    right = counted & (matching.found >= 0)
    object_of = np.where(right, matching.found, -1)
    taken = np.zeros(len(matching.object_class), bool)
    taken[object_of[right]] = True
    order = np.argsort(-matching.pair_iou, kind='stable')
    open_pairs = order[counted[matching.pair_detection[order]]]
    for detection, thing in zip(matching.pair_detection[open_pairs], matching.pair_object[open_pairs]):
        if object_of[detection] < 0 and not taken[thing]:
            object_of[detection] = thing
            taken[thing] = True
    counts = np.zeros((classes + 1, classes + 1), int)
    rows = np.append(matching.object_class, classes)[object_of[counted]]
    np.add.at(counts, (rows, matching.label[counted]), 1)
    np.add.at(counts, (matching.object_class[~taken], classes), 1)
    return counts


def most_confused(counts: np.ndarray, limit: int = 15) -> list[tuple[int, int, int]]:
    """(row, column, count) of the largest counts beside the diagonal, without background, missed and single cases."""
    inner = counts[:-1, :-1].copy()
    np.fill_diagonal(inner, 0)
    places = np.argsort(-inner, axis=None, kind='stable')[:limit]
    found = [(*divmod(int(place), max(len(inner), 1)), int(inner.flat[place])) for place in places]
    return [pair for pair in found if pair[2] > 1]


def summed(counts: np.ndarray, limit: int) -> tuple[np.ndarray, list[int]]:
    """A matrix of at most `limit` classes, those of most errors, with the others as one class before the last.

    Returns:
        The counts, and the classes that have their own row, in their order.
    """
    classes = len(counts) - 1
    if classes <= limit:
        return counts, list(range(classes))
    wrong = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    shown = sorted(np.argsort(-wrong[:-1], kind='stable')[: limit - 1].tolist())
    target = np.full(classes + 1, len(shown))
    target[shown] = np.arange(len(shown))
    target[-1] = len(shown) + 1
    smaller = np.zeros((len(shown) + 2,) * 2, int)
    np.add.at(smaller, (target[:, None], target[None, :]), counts)
    return smaller, shown

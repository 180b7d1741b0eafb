"""Precision and recall of each class over recall, as COCO measures it, and over the threshold of the score."""

from dataclasses import dataclass

import numpy as np

from swin_mmdet.report.matching import Matching

RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class ClassCurves:
    """One class at the IoU of a matching.

    precision: [101], at `RECALLS`, as in pycocotools' array; NaN without objects.
    thresholds: [T], every score of a counted detection, falling; the next three are of detections from there on.
    precision_from, recall_from, f1_from: [T].
    best: index of the best F1, the highest threshold of several; None where nothing was found.
    """

    precision: np.ndarray
    thresholds: np.ndarray
    precision_from: np.ndarray
    recall_from: np.ndarray
    f1_from: np.ndarray

    @property
    def best(self) -> int | None:
        return int(self.f1_from.argmax()) if len(self.f1_from) and self.f1_from.max() > 0 else None

    @property
    def average_precision(self) -> float:
        """The mean of `precision`, NaN without objects."""
        return float(self.precision.mean())


def class_curves(matching: Matching) -> list[ClassCurves]:
    """Of every class, in the order of `cat_ids`."""
    counted = ~matching.ignored
    right = matching.found >= 0
    return [
        curves(matching.score[of_class], right[of_class], int(objects))
        for label, objects in enumerate(matching.num_objects)
        for of_class in [counted & (matching.label == label)]
    ]


def pooled_curves(matching: Matching) -> ClassCurves:
    """Of the detections and objects of all classes together."""
    counted = ~matching.ignored
    return curves(matching.score[counted], matching.found[counted] >= 0, len(matching.object_class))


def curves(score: np.ndarray, right: np.ndarray, objects: int) -> ClassCurves:
    """Of detections [N] with scores, which are right or not, and the number of objects there are."""
    order = np.argsort(-score, kind='stable')
    score, right = score[order], right[order]
    hits = right.cumsum()
    taken = np.arange(1, len(score) + 1)
    # detections of one score are taken together or not at all
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], [True] * bool(len(score))))
    precision, recall = hits[ends] / taken[ends], hits[ends] / max(objects, 1)
    f1 = 2 * hits[ends] / (taken[ends] + max(objects, 1))
    return ClassCurves(interpolated(right, objects), score[ends], precision, recall, f1)


def interpolated(right: np.ndarray, objects: int) -> np.ndarray:
    """Precision [101] at `RECALLS` of detections [N], the best first: the best there is at that recall or a higher."""
    if not objects:
        return np.full(len(RECALLS), np.nan)
    hits = right.cumsum()
    recall = hits / objects
    # as pycocotools divides
    precision = hits / (np.arange(1, len(right) + 1) + np.spacing(1))
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return best[np.searchsorted(recall, RECALLS, side='left')]

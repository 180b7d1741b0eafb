"""What the last evaluation of a run found, measured again and looked at: AP, curves, confusions and errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from swin_mmdet.datasets.json_file import read_json
from swin_mmdet.evaluation.coco_eval import evaluate_coco
from swin_mmdet.evaluation.kept_detections import IOU_TYPES, KeptDetections
from swin_mmdet.evaluation.scores import CocoScores
from swin_mmdet.report.curves import ClassCurves, class_curves, pooled_curves
from swin_mmdet.report.errors import Errors, costs, find_errors
from swin_mmdet.report.matching import Matching, match

# of what was logged and what is measured now
SAME = 1e-6
# of what `predict` draws
SCORE_THR = 0.3


@dataclass(frozen=True)
class ClassRow:
    """One class: AP and AR as COCO has them (-1 where nothing can be measured), and where its F1 is best.

    threshold, precision, recall, f1: at IoU 0.5; None where nothing was found.
    """

    index: int
    name: str
    objects: int
    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar: float
    threshold: float | None
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of boxes ('bbox') or masks ('segm').

    curves: of each class; together: of all as one.
    ap50: at the IoU of the matching, and what each kind of error costs of it [6].
    errors: of all detections; above: of those from the threshold of the best F1 of all on.
    """

    iou_type: str
    names: tuple[str, ...]
    scores: CocoScores
    rows: list[ClassRow]
    detections: list[dict]
    matching: Matching
    curves: list[ClassCurves]
    together: ClassCurves
    ap50: float
    costs: np.ndarray
    errors: Errors
    above: Errors

    @property
    def threshold(self) -> float:
        """Of all classes together."""
        return best_threshold(self.together)


def evaluate_kept(kept: KeptDetections, only: Sequence[str] = IOU_TYPES) -> tuple[dict, list[Evaluated], list[str]]:
    """Evaluate what was kept again, with COCO's numbers as they were logged.

    Returns:
        The annotations, one evaluation for each of boxes and masks, and sentences about what is not as it was.

    Raises:
        UserError, ValueError: the annotations or the detections are gone, cannot be read, or do not fit each other.
    """
    ground_truth = read_json(Path(kept.ann_file))
    found = [_evaluate(kept, ground_truth, iou_type) for iou_type in only if iou_type in kept.files]
    return ground_truth, found, [line for one in found for line in _changes(kept, one)]


def _evaluate(kept: KeptDetections, ground_truth: dict, iou_type: str) -> Evaluated:
    detections = kept.load(iou_type)
    scores = evaluate_coco(ground_truth, detections, iou_type, cat_ids=kept.cat_ids, max_dets=kept.max_dets,
                           iou_thrs=kept.iou_thrs)  # fmt: skip
    matching = match(ground_truth, detections, iou_type, kept.cat_ids, max(kept.max_dets))
    curves, together = class_curves(matching), pooled_curves(matching)
    errors = find_errors(matching)
    ap50, gains = costs(matching, errors)
    rows = [
        ClassRow(
            index=index,
            name=name,
            objects=int(scores.num_instances.get(cat_id, 0)),
            ap=scores.ap(cat_id=cat_id),
            ap50=scores.ap(iou=0.5, cat_id=cat_id),
            ap75=scores.ap(iou=0.75, cat_id=cat_id),
            ap_small=scores.ap(area='small', cat_id=cat_id),
            ap_medium=scores.ap(area='medium', cat_id=cat_id),
            ap_large=scores.ap(area='large', cat_id=cat_id),
            ar=scores.ar(cat_id=cat_id),
            threshold=_at_best(of_class, of_class.thresholds),
            precision=_at_best(of_class, of_class.precision_from),
            recall=_at_best(of_class, of_class.recall_from),
            f1=_at_best(of_class, of_class.f1_from),
        )
        for index, (name, cat_id, of_class) in enumerate(zip(kept.classes, matching.cat_ids, curves))
    ]
    threshold = best_threshold(together)
    return Evaluated(iou_type, kept.classes, scores, rows, detections, matching, curves, together, ap50, gains, errors,
                     find_errors(matching, threshold))  # fmt: skip


def best_threshold(together: ClassCurves) -> float:
    """Of the best F1; where nothing was found, the one from which `predict` draws."""
    best = _at_best(together, together.thresholds)
    return SCORE_THR if best is None else best


def _at_best(curves: ClassCurves, values: np.ndarray) -> float | None:
    return None if curves.best is None else float(values[curves.best])


def _changes(kept: KeptDetections, evaluated: Evaluated) -> list[str]:
    lines = []
    for name, value in evaluated.scores.named.items():
        logged = kept.values.get(f'{evaluated.iou_type}_{name}')
        if logged is not None and abs(logged - value) > SAME:
            lines.append(
                f'The evaluation of {kept.time} logged {evaluated.iou_type}_{name} {logged:.4f}, measured again it is '
                f'{value:.4f}: {kept.ann_file} has changed since.'
            )
    return lines[:1]

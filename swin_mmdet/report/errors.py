"""What kind of error each wrong detection and each object that was not found is, and what AP each kind costs.

The kinds and their order are those of TIDE (Bolya et al., ECCV 2020, arXiv 2008.08115): an error has the first cause
that applies, and the AP at IoU 0.5 is measured again with the errors of one kind put right.
"""

from dataclasses import dataclass

import numpy as np

from swin_mmdet.report.curves import interpolated
from swin_mmdet.report.matching import Matching

# less is no overlap with an object
BACKGROUND_IOU = 0.1


@dataclass(frozen=True)
class Kind:
    """name: TIDE's; word: of labels in pictures."""

    name: str
    word: str
    title: str
    meaning: str


KINDS = (
    Kind('classification', 'class?', 'Wrong class', 'the place of an object of another class (IoU from 0.5)'),
    Kind('localisation', 'place?', 'Poor place', 'an object of its class, overlapped little (IoU 0.1 to 0.5)'),
    Kind('both', 'both?', 'Wrong class and place', 'an object of another class, overlapped little (IoU 0.1 to 0.5)'),
    Kind('duplicate', 'double', 'Double', 'an object that a detection of a higher score has found already'),
    Kind('background', 'nothing', 'Background', 'no object there (IoU below 0.1)'),
    Kind('missed', 'missed', 'Missed', 'an object that no detection has found, nor with a wrong class or a poor place'),
)
CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND, MISSED = range(len(KINDS))
NO_ERROR = -1


@dataclass(frozen=True)
class Errors:
    """Kinds, as indices of `KINDS` or -1 for what is right or ignored.

    kind: [N], of the detections of a matching.
    meant: [N], the object that a wrong detection should have found, -1 where there is none or another has it.
    missed: [G], bool: nothing near.
    """

    kind: np.ndarray
    meant: np.ndarray
    missed: np.ndarray


def find_errors(matching: Matching, min_score: float = 0.0) -> Errors:
    """Sort the errors of the detections that have this score at least.

    Detections in crowds are no errors.
    """
    seen = matching.score >= min_score
    # a detection that is left out has found nothing, and no better one would have matched otherwise
    found_by = np.where((matching.found_by >= 0) & np.append(seen, False)[matching.found_by], matching.found_by, -1)
    wrong = seen & (matching.found < 0) & ~matching.ignored
    own, other = matching.own_iou, matching.other_iou
    enough = matching.iou_threshold
    causes = (
        (LOCALISATION, (own >= BACKGROUND_IOU) & (own <= enough)),
        (CLASSIFICATION, other >= enough),
        (DUPLICATE, own >= enough),
        (BACKGROUND, np.maximum(own, other) <= BACKGROUND_IOU),
        (BOTH, np.ones(len(own), bool)),
    )
    kind = np.full(len(own), NO_ERROR)
    for cause, applies in causes:
        kind[wrong & (kind == NO_ERROR) & applies] = cause
    meant = np.where(kind == LOCALISATION, matching.own_object, -1)
    meant = np.where(kind == CLASSIFICATION, matching.other_object, meant)
    taken = np.append(found_by >= 0, True)
    meant[taken[meant]] = -1
    missed = found_by < 0
    missed[meant[meant >= 0]] = False
    return Errors(kind, meant, missed)


def mean_ap(label: np.ndarray, score: np.ndarray, right: np.ndarray, objects: np.ndarray) -> float:
    """AP of detections [N], the mean over the classes that have objects [K]; 0 without any."""
    values = []
    for index in np.flatnonzero(objects > 0):
        of_class = label == index
        order = np.argsort(-score[of_class], kind='stable')
        values.append(interpolated(right[of_class][order], int(objects[index])).mean())
    return float(np.mean(values)) if values else 0.0


def costs(matching: Matching, errors: Errors) -> tuple[float, np.ndarray]:
    """AP at the IoU of the matching, and what it would gain [6] if the errors of one kind were put right.

    A wrong class is replaced by the right one, a poor place by the object's, where no other detection has that object:
    of several the one of the highest score, while the others go. What is double, both or background goes. Missed
    objects are left out of those to be found.
    """
    counted = ~matching.ignored
    label, score, right = matching.label, matching.score, matching.found >= 0
    objects = matching.num_objects
    before = mean_ap(label[counted], score[counted], right[counted], objects)
    winner = _winners(matching, errors)
    gains = np.zeros(len(KINDS))
    for kind in range(len(KINDS) - 1):
        of_kind = errors.kind == kind
        put_right = of_kind & winner
        kept = counted & (~of_kind | put_right)
        labels = np.where(put_right & (kind == CLASSIFICATION), _class_of(matching, errors.meant), label)
        gains[kind] = mean_ap(labels[kept], score[kept], (right | put_right)[kept], objects) - before
    found = objects - np.bincount(matching.object_class[errors.missed], minlength=len(objects))
    gains[MISSED] = _without_missed(matching, counted, right, objects, found) - before
    # less is chance at the borders of the 101 recalls
    return before, gains.clip(min=0)


def _without_missed(
    matching: Matching, counted: np.ndarray, right: np.ndarray, objects: np.ndarray, found: np.ndarray
) -> float:
    """AP where only `found` objects [K] are to be found.

    A class that has none left has an AP of 0 if there are detections of it, and else nothing to measure.
    """
    detected = np.bincount(matching.label[counted], minlength=len(objects)) > 0
    classes = np.count_nonzero((objects > 0) & ((found > 0) | detected))
    share = np.count_nonzero(found) / classes if classes else 0.0
    return share * mean_ap(matching.label[counted], matching.score[counted], right[counted], found)


def _class_of(matching: Matching, objects: np.ndarray) -> np.ndarray:
    """[N]: classes of objects, -1 for none."""
    return np.append(matching.object_class, -1)[objects]


def _winners(matching: Matching, errors: Errors) -> np.ndarray:
    """[N], bool: of the detections that should have found one object, that of the highest score."""
    winner = np.zeros(len(errors.kind), bool)
    candidates = np.flatnonzero(errors.meant >= 0)
    order = candidates[np.argsort(-matching.score[candidates], kind='stable')]
    _, first = np.unique(errors.meant[order], return_index=True)
    winner[order[first]] = True
    return winner

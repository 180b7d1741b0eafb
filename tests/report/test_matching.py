"""Matches, curves, errors and confusions against pycocotools, and against the definitions read once more, slowly."""

import contextlib
import io
from collections.abc import Callable

import numpy as np
import pytest
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from swin_mmdet.evaluation import evaluate_coco
from swin_mmdet.report.confusion import confusion_matrix, most_confused, summed
from swin_mmdet.report.curves import class_curves, pooled_curves
from swin_mmdet.report.errors import (
    BACKGROUND,
    BOTH,
    CLASSIFICATION,
    DUPLICATE,
    KINDS,
    LOCALISATION,
    MISSED,
    costs,
    find_errors,
)
from swin_mmdet.report.matching import Matching, match
from tests.report.sample_run import coco_data, rle

NAMES = ['cat', 'dog', 'cow', 'pig']
CASES = [(seed, iou_type, crowd) for seed in range(4) for iou_type in ('bbox', 'segm') for crowd in (False, True)]


def matched(seed: int, iou_type: str, crowd: bool, names: list[str] = NAMES, **options) -> tuple[dict, list, Matching]:
    truth, detections = coco_data(names, 25, seed, crowd)
    ids = [category['id'] for category in truth['categories']]
    return truth, detections, match(truth, detections, iou_type, ids, **options)


def pycocotools(truth: dict, detections: list[dict], iou_type: str) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes([dict(one) for one in detections]), iou_type)
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator


@pytest.mark.parametrize(('seed', 'iou_type', 'crowd'), CASES)
def test_precision_over_recall_is_pycocotools_array(seed: int, iou_type: str, crowd: bool):
    truth, detections, matching = matched(seed, iou_type, crowd)
    expected = pycocotools(truth, detections, iou_type).eval['precision'][0, :, :, 0, -1]  # [R, K]
    for label, curves in enumerate(class_curves(matching)):
        np.testing.assert_allclose(curves.precision, expected[:, label], atol=1e-12)
        assert curves.average_precision == pytest.approx(expected[:, label].mean(), abs=1e-12)


@pytest.mark.parametrize('limit', [1, 2, 100])
def test_no_more_detections_of_a_class_in_an_image_count_than_coco_counts(limit: int):
    truth, detections, matching = matched(0, 'bbox', False, max_dets=limit)
    scores = evaluate_coco(truth, detections, max_dets=(limit,), backend='pycocotools')
    found = np.array([curves.precision for curves in class_curves(matching)])
    np.testing.assert_allclose(found.T, scores.precision[0, :, :, 0, 0], atol=1e-12)


def test_a_class_without_objects_has_no_precision():
    truth, detections, _ = matched(0, 'bbox', False)
    truth['annotations'] = [ann for ann in truth['annotations'] if ann['category_id'] != 2]
    matching = match(truth, detections, 'bbox', [2, 5, 8, 11])
    assert np.isnan(class_curves(matching)[0].precision).all()
    before, gains = costs(matching, find_errors(matching))
    assert before == pytest.approx(evaluate_coco(truth, detections).ap(iou=0.5), abs=1e-9)
    assert np.isfinite(gains).all()


@pytest.mark.parametrize(('seed', 'iou_type', 'crowd'), CASES[::3])
def test_curves_over_the_threshold_count_what_is_left_above_it(seed: int, iou_type: str, crowd: bool):
    _, _, matching = matched(seed, iou_type, crowd)
    right, counted = matching.found >= 0, ~matching.ignored
    pools = [(curves, matching.label == label, matching.object_class == label)
             for label, curves in enumerate(class_curves(matching))]  # fmt: skip
    pools.append((pooled_curves(matching), np.ones_like(right), np.ones(len(matching.object_class), bool)))
    for curves, detected, there in pools:
        best = (-1.0, None)
        for place, threshold in enumerate(curves.thresholds):
            above = detected & counted & (matching.score >= threshold)
            hits, taken, objects = (right & above).sum(), above.sum(), there.sum()
            precision, recall = hits / taken, hits / objects
            assert curves.precision_from[place] == pytest.approx(precision)
            assert curves.recall_from[place] == pytest.approx(recall)
            f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
            assert curves.f1_from[place] == pytest.approx(f1)
            best = max(best, (f1, threshold))
        assert curves.f1_from[curves.best] == pytest.approx(best[0])


def test_scores_that_are_equal_are_taken_together():
    box = [10, 10, 30, 30]
    truth = {'images': [{'id': 1, 'width': 100, 'height': 100}], 'categories': [{'id': 1, 'name': 'a'}],
             'annotations': [dict(id=1, image_id=1, category_id=1, bbox=box, area=900, iscrowd=0)]}  # fmt: skip
    found = [dict(image_id=1, category_id=1, bbox=place, score=0.5) for place in (box, [0, 0, 5, 5])]
    curves = class_curves(match(truth, found, 'bbox', [1]))[0]
    assert curves.thresholds.tolist() == [0.5]
    assert curves.precision_from.tolist() == [0.5]


def overlaps_of(truth: dict, detections: list[dict], iou_type: str) -> Callable[[int, dict], float]:
    """overlap(index of a detection, annotation) in float64, of boxes by their formula, of masks by their pixels."""
    sizes = {image['id']: (image['height'], image['width']) for image in truth['images']}
    known: dict[tuple[int, int], float] = {}

    def area(shape: dict | list) -> float:
        return shape[2] * shape[3]

    def overlap(index: int, ann: dict) -> float:
        one = detections[index]
        if one['image_id'] != ann['image_id']:
            return 0.0
        if (index, ann['id']) not in known:
            known[index, ann['id']] = measured(one, ann)
        return known[index, ann['id']]

    def measured(one: dict, ann: dict) -> float:
        if iou_type == 'bbox':
            (x1, y1, w1, h1), (x2, y2, w2, h2) = one['bbox'], ann['bbox']
            wide, high = min(x1 + w1, x2 + w2) - max(x1, x2), min(y1 + h1, y2 + h2) - max(y1, y2)
            common = max(wide, 0.0) * max(high, 0.0)
            return common / (area(one['bbox']) + area(ann['bbox']) - common)
        height, width = sizes[ann['image_id']]
        there = mask_utils.decode(rle(ann['bbox'], width, height)).astype(bool)
        found = mask_utils.decode(one['segmentation']).astype(bool)
        return (there & found).sum() / max((there | found).sum(), 1)

    return overlap


def slow_errors(truth: dict, detections: list[dict], iou_type: str) -> tuple[dict[int, str], set[int], float, dict]:
    """TIDE from its definition: kinds of wrong detections, missed annotations, AP50, and what each kind costs."""
    overlap = overlaps_of(truth, detections, iou_type)
    objects = truth['annotations']
    order = sorted(range(len(detections)), key=lambda index: -detections[index]['score'])
    taken, right = {}, {}
    for index in order:
        category = detections[index]['category_id']
        same = [ann for ann in objects if ann['category_id'] == category and ann['id'] not in taken]
        best = max(same, key=lambda ann: overlap(index, ann), default=None)
        if best is not None and overlap(index, best) >= 0.5:
            taken[best['id']] = index
            right[index] = best['id']
    kinds, claims = {}, {}
    for index in order:
        if index in right:
            continue
        own = max((ann for ann in objects if ann['category_id'] == detections[index]['category_id']),
                  key=lambda ann: overlap(index, ann), default=None)  # fmt: skip
        other = max((ann for ann in objects if ann['category_id'] != detections[index]['category_id']),
                    key=lambda ann: overlap(index, ann), default=None)  # fmt: skip
        with_own = overlap(index, own) if own else 0.0
        with_other = overlap(index, other) if other else 0.0
        if 0.1 <= with_own <= 0.5:
            kinds[index] = 'localisation'
            meant = own
        elif with_other >= 0.5:
            kinds[index] = 'classification'
            meant = other
        else:
            meant = None
            nothing = 'background' if max(with_own, with_other) <= 0.1 else 'both'
            kinds[index] = 'duplicate' if with_own >= 0.5 else nothing
        if meant is not None and meant['id'] not in taken:
            claims.setdefault(meant['id'], index)  # the first has the highest score
    missed = {ann['id'] for ann in objects} - taken.keys() - claims.keys()
    by_id = {ann['id']: ann for ann in objects}
    rows = {index: (detections[index]['category_id'], detections[index]['score'], index in right) for index in order}
    before = slow_ap(list(rows.values()), [ann['category_id'] for ann in objects])
    gains = {}
    for kind in ('classification', 'localisation', 'both', 'duplicate', 'background'):
        fixed = dict(rows)
        for index in [index for index in order if kinds.get(index) == kind]:
            del fixed[index]
            for id, claimant in claims.items():
                if claimant == index:
                    fixed[index] = (by_id[id]['category_id'], detections[index]['score'], True)
        gains[kind] = slow_ap(list(fixed.values()), [ann['category_id'] for ann in objects]) - before
    left = [ann['category_id'] for ann in objects if ann['id'] not in missed]
    gains['missed'] = slow_ap(list(rows.values()), left) - before
    return kinds, missed, before, {kind: max(gain, 0.0) for kind, gain in gains.items()}


def slow_ap(rows: list[tuple[int, float, bool]], there: list[int]) -> float:
    """Mean over the classes of precision at 101 recalls; all classes of these tests have objects."""
    values = []
    for category in sorted(set(there) | {row[0] for row in rows}):
        count = there.count(category)
        of_class = sorted((row for row in rows if row[0] == category), key=lambda row: -row[1])
        points, hits = [], 0
        for place, (_, _, is_right) in enumerate(of_class, start=1):
            hits += is_right
            points.append((hits / count if count else 0.0, hits / place))
        values.append(np.mean([max([precision for recall, precision in points if recall >= wanted], default=0.0)
                               for wanted in np.linspace(0, 1, 101)]) if count else 0.0)  # fmt: skip
    return float(np.mean(values))


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('seed', range(4))
def test_errors_and_their_costs_are_those_of_the_definition(seed: int, iou_type: str):
    truth, detections, matching = matched(seed, iou_type, False)
    kinds, missed, before, gains = slow_errors(truth, detections, iou_type)
    errors = find_errors(matching)
    names = [kind.name for kind in KINDS]
    assert {int(row): names[kind] for row, kind in zip(matching.row, errors.kind) if kind >= 0} == kinds
    found = {truth['annotations'][row]['id'] for row in matching.object_row[errors.missed]}
    assert found == missed
    ap50, costly = costs(matching, errors)
    assert ap50 == pytest.approx(before, abs=1e-9)
    assert ap50 == pytest.approx(evaluate_coco(truth, detections, iou_type).ap(iou=0.5), abs=1e-9)
    assert dict(zip(names, costly)) == pytest.approx(gains, abs=1e-9)


# of `coco_data(NAMES, 40, seed)` by tidecv 1.0.1: AP50 and gains in percent, and numbers, in the order of KINDS
TIDECV = {
    1: (22.8179, [3.7078, 25.0254, 1.6568, 1.0181, 1.9865, 9.2263], [16, 54, 20, 22, 34, 37]),
    2: (32.2836, [4.6318, 21.6325, 1.8597, 1.4358, 2.5848, 6.7113], [20, 55, 20, 25, 29, 20]),
    3: (26.7740, [3.5183, 20.6906, 1.8024, 1.2027, 5.1219, 7.2290], [10, 53, 17, 23, 34, 24]),
    5: (23.2271, [3.4346, 21.4134, 2.4733, 0.8603, 2.2077, 10.0228], [14, 56, 18, 17, 42, 31]),
}


@pytest.mark.parametrize('seed', TIDECV)
def test_errors_and_their_costs_are_those_of_tidecv(seed: int, monkeypatch: pytest.MonkeyPatch):
    # it has hundredths, of which some are the next number beside pycocotools'
    monkeypatch.setattr('swin_mmdet.report.curves.RECALLS', np.arange(101) / 100)
    truth, detections = coco_data(NAMES, 40, seed)
    matching = match(truth, detections, 'bbox', [category['id'] for category in truth['categories']])
    errors = find_errors(matching)
    ap50, costly = costs(matching, errors)
    expected_ap, expected_costs, expected_counts = TIDECV[seed]
    assert 100 * ap50 == pytest.approx(expected_ap, abs=1e-4)
    assert [*(100 * costly)] == pytest.approx(expected_costs, abs=1e-4)
    counts = [int((errors.kind == kind).sum()) for kind in range(MISSED)] + [int(errors.missed.sum())]
    assert counts == expected_counts


def test_each_kind_of_error_in_a_picture_of_its_own():
    box, crowd = [10, 10, 40, 40], [200, 10, 60, 60]
    truth = {
        'images': [{'id': image, 'width': 300, 'height': 100} for image in range(1, 8)],
        'categories': [{'id': 1, 'name': 'a'}, {'id': 2, 'name': 'b'}],
        'annotations': [dict(id=image, image_id=image, category_id=1, bbox=box, area=1600, iscrowd=0)
                        for image in range(1, 8)]
        + [dict(id=8, image_id=7, category_id=1, bbox=crowd, area=3600, iscrowd=1)],
    }  # fmt: skip
    found = [
        (1, 2, box, CLASSIFICATION), (2, 1, [30, 10, 40, 40], LOCALISATION), (3, 2, [30, 10, 40, 40], BOTH),
        (4, 1, box, -1), (4, 1, [11, 10, 40, 40], DUPLICATE), (5, 1, [100, 10, 40, 40], BACKGROUND),
        (7, 1, [210, 20, 30, 30], -1),
    ]  # fmt: skip
    detections = [dict(image_id=image, category_id=label, bbox=place, score=1 - index / 10)
                  for index, (image, label, place, _) in enumerate(found)]  # fmt: skip
    matching = match(truth, detections, 'bbox', [1, 2])
    errors = find_errors(matching)
    assert errors.kind[np.argsort(matching.row)].tolist() == [kind for *_, kind in found]
    assert matching.ignored[np.argsort(matching.row)].tolist() == [False] * 6 + [True]
    # 1 and 2 could have been found; 3, 5, 6 and 7 have nothing near
    assert [truth['annotations'][row]['id'] for row in matching.object_row[errors.missed]] == [3, 5, 6, 7]
    assert confusion_matrix(matching, 0.0).tolist() == [[1, 1, 5], [0, 0, 0], [3, 1, 0]]


def test_errors_from_a_threshold_on_are_those_of_the_detections_above_it():
    truth, detections, matching = matched(1, 'bbox', True)
    threshold = 0.4
    kept = [one for one in detections if one['score'] >= threshold]
    few = match(truth, kept, 'bbox', [category['id'] for category in truth['categories']])
    above, alone = find_errors(matching, threshold), find_errors(few)
    assert above.missed.tolist() == alone.missed.tolist()
    assert above.kind[matching.score >= threshold].tolist() == alone.kind.tolist()
    assert (above.kind[matching.score < threshold] == -1).all()
    assert confusion_matrix(matching, threshold).tolist() == confusion_matrix(few, 0.0).tolist()


@pytest.mark.parametrize('threshold', [0.0, 0.35, 0.9])
@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_confusions_are_counted_one_by_one(iou_type: str, threshold: float):
    truth, detections, matching = matched(2, iou_type, False)
    ids = [category['id'] for category in truth['categories']]
    overlap = overlaps_of(truth, detections, iou_type)
    expected = np.zeros((5, 5), int)
    partner, taken = {}, set()
    for row, thing in zip(matching.row, matching.found):
        if thing >= 0 and detections[row]['score'] >= threshold:
            partner[row] = truth['annotations'][matching.object_row[thing]]
            taken.add(partner[row]['id'])
    above = [row for row in range(len(detections)) if detections[row]['score'] >= threshold]
    pairs = sorted(((overlap(row, ann), row, ann) for row in above for ann in truth['annotations']),
                   key=lambda pair: -pair[0])  # fmt: skip
    for value, row, ann in pairs:
        if value >= 0.5 and row not in partner and ann['id'] not in taken:
            partner[row] = ann
            taken.add(ann['id'])
    for row in above:
        there = ids.index(partner[row]['category_id']) if row in partner else 4
        expected[there, ids.index(detections[row]['category_id'])] += 1
    for ann in truth['annotations']:
        if ann['id'] not in taken:
            expected[ids.index(ann['category_id']), 4] += 1
    counts = confusion_matrix(matching, threshold)
    assert counts.tolist() == expected.tolist()
    assert counts[:-1].sum(axis=1).tolist() == matching.num_objects.tolist()
    assert counts[:, :-1].sum() == len(above)


def test_a_matrix_of_many_classes_is_summed_up_and_loses_no_count():
    counts = np.random.default_rng(0).integers(0, 5, (31, 31))
    smaller, shown = summed(counts, 10)
    assert smaller.shape == (11, 11)
    assert smaller.sum() == counts.sum()
    assert len(shown) == 9
    assert (smaller[:9, :9] == counts[np.ix_(shown, shown)]).all()
    assert summed(counts, 30)[0] is counts
    pairs = most_confused(counts, 5)
    inner = counts[:-1, :-1].copy()
    np.fill_diagonal(inner, 0)
    assert [count for *_, count in pairs] == sorted(inner.ravel().tolist())[::-1][:5]
    assert all(inner[row, column] == count for row, column, count in pairs)


def test_nothing_detected_and_nothing_there():
    truth, detections, _ = matched(0, 'bbox', False)
    ids = [category['id'] for category in truth['categories']]
    nothing = match(truth, [], 'bbox', ids)
    errors = find_errors(nothing)
    assert errors.missed.all()
    assert costs(nothing, errors)[0] == 0
    assert class_curves(nothing)[0].best is None
    assert confusion_matrix(nothing, 0.5)[:-1, -1].sum() == len(truth['annotations'])
    empty = match(truth | {'annotations': []}, detections, 'bbox', ids)
    assert costs(empty, find_errors(empty))[0] == 0
    assert set(find_errors(empty).kind.tolist()) == {BACKGROUND}

"""CocoMetric through process() and compute_metrics(), as a runner calls it."""

import json
import math
import re

import numpy as np
import pytest
from mmdet.evaluation import CocoMetric as MMDetCocoMetric
from mmengine.registry import METRICS

from swin_mmdet.datasets.coco_dataset import BY_NAME
from swin_mmdet.evaluation import CocoMetric
from swin_mmdet.evaluation.scores import metric_names
from tests.evaluation.coco_samples import annotation, detection, feed, metric_on, noisy, oracle, rectangle

TWELVE = metric_names([1, 10, 100])
HIT = detection(1, 7, [10, 10, 40, 40])


def run(metric):
    return metric.compute_metrics(metric.results)


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_published_numbers_of_the_coco_api_pass_through_the_metric(shared_data, backend, iou_type, tmp_path):
    folder = shared_data / 'eval_fixtures/cocoapi_fake100'
    gt = json.loads((folder / 'instances_val2014_100.json').read_text())
    detections = json.loads((folder / f'instances_val2014_fake{iou_type}100_results.json').read_text())
    metric = metric_on(gt, tmp_path, metric=iou_type, proposal_nums=(1, 10, 100), metric_items=TWELVE,
                       eval_backend=backend)
    values = run(feed(metric, gt, detections))
    expected = json.loads((folder / 'expected.json').read_text())['full_precision'][iou_type]
    np.testing.assert_allclose([values[f'{iou_type}_{name}'] for name in TWELVE], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize('case', ['ignore_bbox', 'segm'])
def test_published_numbers_of_faster_coco_eval_pass_through_the_metric(shared_data, backend, case, tmp_path):
    folder = shared_data / 'eval_fixtures/faster_coco_eval'
    expected = json.loads((folder / 'expected.json').read_text())[case]
    gt, detections = (json.loads((folder / expected[key]).read_text()) for key in ('gt', 'dt'))
    metric = metric_on(gt, tmp_path, metric=expected['iouType'], proposal_nums=(1, 10, 100), metric_items=TWELVE,
                       eval_backend=backend)
    values = run(feed(metric, gt, detections))
    published = [value for key, value in expected.items() if key[:2] in ('AP', 'AR')]
    np.testing.assert_allclose(list(values.values()), published, rtol=0, atol=1e-9)


def test_is_mmdets_metric_up_to_its_rounding(shared_data, backend, tmp_path):
    gt = json.loads((shared_data / 'coco_mini/annotations/instances_val2017.json').read_text())
    detections = noisy(gt)
    ours = metric_on(gt, tmp_path, classwise=True, eval_backend=backend)
    theirs = MMDetCocoMetric(ann_file=str(tmp_path / 'annotations.json'), classwise=True)
    theirs.dataset_meta = ours.dataset_meta
    values, expected = run(feed(ours, gt, detections)), run(feed(theirs, gt, detections))
    assert values.keys() == expected.keys()
    np.testing.assert_allclose([values[key] for key in expected], list(expected.values()), rtol=0, atol=5.1e-4)


def test_full_precision_is_pycocotools_own(shared_data, backend, tmp_path):
    gt = json.loads((shared_data / 'coco_mini/annotations/instances_val2017.json').read_text())
    detections = noisy(gt)
    names = metric_names([100, 300, 1000])
    values = run(feed(metric_on(gt, tmp_path, metric_items=names, eval_backend=backend), gt, detections))
    expected = oracle(gt, detections, 'bbox', (100, 300, 1000))
    np.testing.assert_allclose(list(values.values()), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize('metric', ['proposal', 'proposal_fast'])
def test_proposal_recall_is_mmdets(two_boxes, backend, metric, tmp_path):
    found = [detection(1, 3, [10, 10, 40, 40]), detection(2, 3, [25, 20, 40, 40])]
    values = run(feed(metric_on(two_boxes, tmp_path, metric=metric, eval_backend=backend), two_boxes, found))
    theirs = MMDetCocoMetric(ann_file=str(tmp_path / 'annotations.json'), metric=metric)
    theirs.dataset_meta = {'classes': ('cat', 'dog')}
    expected = run(feed(theirs, two_boxes, found))
    assert values == pytest.approx(expected, abs=5.1e-4)


@pytest.mark.parametrize(('found', 'recall'), [
    ([HIT], 1 / 3),
    ([HIT, HIT], 1 / 3),  # a second proposal on the same box finds nothing more
    ([HIT, detection(1, 7, [60, 60, 30, 30]), detection(2, 7, [28, 20, 40, 40])], (1 + 1 + 0.4) / 3),
], ids=['one', 'twice', 'three'])
def test_proposal_fast_by_hand_with_different_numbers_of_objects(two_boxes, tmp_path, found, recall):
    two_boxes['annotations'] += [
        annotation(3, 1, 7, [60, 60, 30, 30]), annotation(4, 2, 7, [0, 0, 9, 9], iscrowd=1),
        annotation(5, 2, 7, [70, 70, 9, 9]) | {'ignore': 1},
    ]  # fmt: skip
    values = run(feed(metric_on(two_boxes, tmp_path, metric='proposal_fast'), two_boxes, found))
    assert values == pytest.approx({'AR@100': recall, 'AR@300': recall, 'AR@1000': recall})


def test_proposal_fast_finds_the_ground_truth_of_each_image_by_its_id(two_boxes, tmp_path):
    metric = metric_on(two_boxes, tmp_path, metric='proposal_fast')
    feed(metric, two_boxes, [HIT, detection(2, 7, [20, 20, 40, 40])])
    metric.results.reverse()
    assert run(metric)['AR@100'] == pytest.approx(1)


def test_no_predictions_give_zero_and_a_warning(two_boxes, backend, tmp_path, logged):
    values = run(feed(metric_on(two_boxes, tmp_path, eval_backend=backend), two_boxes, []))
    assert values['bbox_mAP'] == 0
    assert 'No image has a single prediction' in logged()


def test_images_that_were_not_predicted_are_reported(two_boxes, tmp_path, logged):
    metric = feed(metric_on(two_boxes, tmp_path), two_boxes, [HIT])
    metric.results.pop()
    assert run(metric)['bbox_mAP'] == pytest.approx(0.5)
    missing = '1 of 2 images of the annotation file were not predicted; they count as images without detections'
    assert missing in logged().splitlines()


def test_classwise_tells_boxes_from_masks_and_counts_instances(two_boxes, tmp_path, logged):
    two_boxes['categories'].append({'id': 9, 'name': 'bird'})
    crowd = annotation(3, 1, 7, [60, 60, 30, 30], iscrowd=1)
    two_boxes['annotations'].append(crowd)
    hit = {**HIT, 'segmentation': rectangle([60, 10, 20, 20])}  # the box is right, the mask is elsewhere
    metric = metric_on(two_boxes, tmp_path, metric=['bbox', 'segm'], classwise=True)
    values = run(feed(metric, two_boxes, [hit]))
    assert values['bbox_cat_precision'] == pytest.approx(1)
    assert values['segm_cat_precision'] == values['cat_precision'] == 0
    assert math.isnan(values['bbox_bird_precision'])
    row = next(line for line in logged().splitlines() if line.startswith('| cat'))
    assert [cell.strip() for cell in row.split('|')[2:6]] == ['1', '100.0', '100.0', '100.0']


def test_format_only_writes_files_and_evaluates_nothing(two_boxes, tmp_path):
    metric = metric_on(two_boxes, tmp_path, format_only=True, outfile_prefix=str(tmp_path / 'out'))
    assert run(feed(metric, two_boxes, [HIT])) == {}
    written = json.loads((tmp_path / 'out.bbox.json').read_text())
    assert [(det['image_id'], det['category_id'], det['bbox']) for det in written] == [(1, 7, [10, 10, 40, 40])]


def test_ground_truth_may_come_from_the_data_samples(backend):
    metric = CocoMetric(eval_backend=backend)
    metric.dataset_meta = {'classes': ('cat',)}
    ground_truth = {'images': [{'id': 5, 'height': 100, 'width': 100}], 'categories': [{'id': 0, 'name': 'cat'}]}
    sample = {'instances': [{'bbox': [10, 10, 50, 50], 'bbox_label': 0}]}
    process = metric.process
    metric.process = lambda batch, samples: process(batch, [{**sample, **samples[0]}])
    feed(metric, ground_truth, [detection(5, 0, [10, 10, 40, 40])])
    assert run(metric)['bbox_mAP'] == pytest.approx(1)


def test_a_second_evaluation_gives_the_same_numbers(two_boxes, backend, tmp_path):
    metric = feed(metric_on(two_boxes, tmp_path, metric=['bbox', 'proposal_fast'], eval_backend=backend), two_boxes,
                  [HIT])
    assert run(metric) == run(metric)


def test_an_empty_dataset_is_refused(two_boxes, tmp_path):
    with pytest.raises(ValueError, match=r'^CocoMetric got no results: the dataset of the dataloader is empty$'):
        run(metric_on(two_boxes, tmp_path))
    metric = feed(metric_on({**two_boxes, 'images': []}, tmp_path), two_boxes, [HIT])
    with pytest.raises(ValueError, match='no images'):
        run(metric)


def test_classes_that_the_file_does_not_have_are_named(two_boxes, tmp_path):
    metric = feed(metric_on(two_boxes, tmp_path, classes=('cat', 'horse')), two_boxes, [HIT])
    with pytest.raises(ValueError, match=r"not in the file: \['horse'\]"):
        run(metric)
    # of many five
    metric.dataset_meta = {'classes': tuple('ihgfedcba')}
    words = (
        "CocoMetric: the dataset has 9 classes, 0 categories of the annotation file carry one of their names. Classes "
        "not in the file: ['a', 'b', 'c', 'd', 'e']; categories in the file: ['cat', 'dog']; set "
        'metainfo=dict(classes=(...)) of the dataset to the names in the file'
    )
    with pytest.raises(ValueError, match=f'^{re.escape(words)}$'):
        run(metric)


def test_labels_by_name_are_those_of_the_classes(two_boxes, tmp_path):
    """The file's order is cat, dog."""
    found = [detection(1, 3, [10, 10, 40, 40])]  # its label is 1
    metric = feed(metric_on(two_boxes, tmp_path, classes=('dog', 'cat'), classwise=True), two_boxes, found)
    assert run(metric)['cat_precision'] == 0
    metric.dataset_meta[BY_NAME] = True
    assert run(metric)['cat_precision'] == pytest.approx(1)


def test_recall_of_proposals_is_logged(two_boxes, tmp_path, logged):
    run(feed(metric_on(two_boxes, tmp_path, metric='proposal_fast'), two_boxes, [HIT]))
    assert 'recall of [100, 300, 1000] proposals at IoU [0.5, 0.55, 0.6, ' in logged()


def test_nothing_is_kept_of_an_evaluation_without_a_file(tmp_path):
    metric = CocoMetric()
    metric.dataset_meta = {'classes': ('cat',)}
    metric.keep_detections(tmp_path, 'any')
    for source in (None, '', 'https://a.org/annotations.json'):
        metric._ann_file = source
        metric._keep({'bbox': 'results.json'}, {})
    metric._ann_file = 'annotations.json'
    metric._keep({}, {})
    assert list(tmp_path.iterdir()) == []


def test_masks_that_were_not_predicted_are_reported(two_boxes, tmp_path):
    with pytest.raises(ValueError, match="'segm' needs masks"):
        run(feed(metric_on(two_boxes, tmp_path, metric='segm'), two_boxes, [HIT]))


def test_an_unknown_metric_item_is_refused_before_the_work(two_boxes, tmp_path):
    with pytest.raises(ValueError, match=r"\['AR@7'\] unknown"):
        metric_on(two_boxes, tmp_path, metric_items=['mAP', 'AR@7'])


def test_configs_find_it_by_its_full_name(two_boxes, tmp_path):
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(two_boxes))
    metric = METRICS.build({'type': 'swin_mmdet.CocoMetric', 'ann_file': str(path), 'metric': ['bbox', 'segm']})
    assert type(metric) is CocoMetric
    assert metric.prefix == 'coco'

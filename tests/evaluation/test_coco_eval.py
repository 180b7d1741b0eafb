"""evaluate_coco against published numbers, pycocotools and numbers counted by hand."""

import copy
import json

import numpy as np
import pytest

from swin_mmdet.evaluation import evaluate_coco
from swin_mmdet.evaluation.backends import BACKENDS, Backend, resolve_backend
from tests.evaluation.coco_samples import annotation, detection, noisy, oracle, rectangle

PUBLISHED = ('AP', 'AP_50', 'AP_75', 'AP_small', 'AP_medium', 'AP_large',
             'AR_1', 'AR_10', 'AR_100', 'AR_small', 'AR_medium', 'AR_large')


def load(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_published_numbers_of_the_coco_api(shared_data, backend, iou_type):
    folder = shared_data / 'eval_fixtures/cocoapi_fake100'
    detections = load(folder / f'instances_val2014_fake{iou_type}100_results.json')
    scores = evaluate_coco(load(folder / 'instances_val2014_100.json'), detections, iou_type, backend=backend)
    expected = load(folder / 'expected.json')['full_precision'][iou_type]
    np.testing.assert_allclose(scores.stats, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize('case', ['ignore_bbox', 'segm'])
def test_published_numbers_of_faster_coco_eval(shared_data, backend, case):
    folder = shared_data / 'eval_fixtures/faster_coco_eval'
    expected = load(folder / 'expected.json')[case]
    scores = evaluate_coco(
        load(folder / expected['gt']), load(folder / expected['dt']), expected['iouType'], backend=backend
    )
    np.testing.assert_allclose(scores.stats, [expected[name] for name in PUBLISHED], rtol=0, atol=1e-9)


@pytest.mark.parametrize('max_dets', [(1, 10, 100), (100, 300, 1000)], ids=str)
def test_real_images_with_crowds_give_pycocotools_numbers(shared_data, backend, max_dets):
    gt = load(shared_data / 'coco_mini/annotations/instances_val2017.json')
    assert any(ann['iscrowd'] for ann in gt['annotations'])
    detections = noisy(gt)
    scores = evaluate_coco(gt, detections, max_dets=max_dets, backend=backend)
    np.testing.assert_allclose(scores.stats, oracle(gt, detections, 'bbox', max_dets), rtol=0, atol=1e-12)


def test_map_counts_100_detections_as_in_pycocotools(two_boxes, backend):
    wrong = [detection(1, 7, [60, 60, 30, 30], 0.9) for _ in range(120)]
    detections = [*wrong, detection(1, 7, [10, 10, 40, 40], 0.1)]
    scores = evaluate_coco(two_boxes, detections, max_dets=(100, 300, 1000), backend=backend)
    np.testing.assert_allclose(scores.stats, oracle(two_boxes, detections, 'bbox', (100, 300, 1000)), atol=1e-12)
    assert scores.named['mAP'] == 0 < scores.named['mAP_50']


def test_one_box_by_hand(backend, two_boxes):
    # 40 x 40 moved by 8 px: IoU = 32 * 40 / (48 * 40) = 2/3, above the thresholds 0.50, 0.55, 0.60, 0.65 of ten
    gt = {**two_boxes, 'annotations': two_boxes['annotations'][:1]}
    scores = evaluate_coco(gt, [detection(1, 7, [18, 10, 40, 40])], backend=backend)
    assert scores.ap() == pytest.approx(0.4)
    assert scores.ap(iou=0.5) == pytest.approx(1)
    assert scores.ap(iou=0.75) == 0
    assert scores.ap(area='medium') == pytest.approx(0.4)  # 1600 px, between 32**2 and 96**2
    assert scores.ap(area='large') == -1
    assert scores.ar() == pytest.approx(0.4)


def test_a_class_score_belongs_to_its_category_whatever_the_order_of_ids(backend, two_boxes):
    scores = evaluate_coco(two_boxes, [detection(1, 7, [10, 10, 40, 40])], backend=backend)
    assert (scores.ap(cat_id=7), scores.ap(cat_id=3)) == (pytest.approx(1), 0)


def test_no_detections_give_zero(backend, two_boxes):
    scores = evaluate_coco(two_boxes, [], 'segm', backend=backend)
    assert scores.named['mAP'] == 0
    assert scores.named['AR@100'] == 0
    assert scores.named['mAP_l'] == -1


def test_images_without_annotations_count_their_false_positives(backend, two_boxes):
    gt = {**two_boxes, 'annotations': two_boxes['annotations'][:1]}
    hit, miss = detection(1, 7, [10, 10, 40, 40], 0.5), detection(2, 7, [10, 10, 40, 40], 0.9)
    assert evaluate_coco(gt, [hit, miss], backend=backend).ap() == pytest.approx(0.5)


def test_detections_in_a_crowd_are_neither_right_nor_wrong(backend, two_boxes):
    crowd = annotation(3, 1, 7, [50, 50, 50, 50], iscrowd=1)
    gt = {**two_boxes, 'annotations': [*two_boxes['annotations'][:1], crowd]}
    inside = [detection(1, 7, [60, 60, 20, 20], 0.95), detection(1, 7, [55, 55, 20, 20], 0.94)]
    scores = evaluate_coco(gt, [*inside, detection(1, 7, [10, 10, 40, 40], 0.5)], backend=backend)
    assert scores.ap(cat_id=7) == pytest.approx(1)
    assert scores.num_instances[7] == 1


@pytest.mark.parametrize('ids', [(0, 1), (5, 5)], ids=str)
def test_annotation_ids_do_not_matter(backend, two_boxes, ids):
    found = [detection(1, 7, [10, 10, 40, 40]), detection(2, 3, [20, 20, 40, 40])]
    for ann, id in zip(two_boxes['annotations'], ids):
        ann['id'] = id
    assert evaluate_coco(two_boxes, found, backend=backend).ap() == pytest.approx(1)


def test_image_ids_may_be_words(backend, two_boxes):
    for item in [*two_boxes['images'], *two_boxes['annotations']]:
        key = 'image_id' if 'image_id' in item else 'id'
        item[key] = f'image {item[key]}'
    scores = evaluate_coco(two_boxes, [detection('image 1', 7, [10, 10, 40, 40])], backend=backend)
    assert scores.ap() == pytest.approx(0.5)


def spelt(ground_truth, detections, ids=lambda id: id, size=lambda value: value, area=lambda value: value,
          iscrowd=lambda value: value):
    """Copies in which ids, sizes and areas are written in another way."""
    gt, dt = copy.deepcopy((ground_truth, detections))
    for image in gt['images']:
        image.update(id=ids(image['id']), height=size(image['height']), width=size(image['width']))
    for category in gt['categories']:
        category['id'] = ids(category['id'])
    for ann in gt['annotations']:
        ann.update(area=area(ann['area']), iscrowd=iscrowd(ann['iscrowd']))
    for item in (*gt['annotations'], *dt):
        item.update(image_id=ids(item['image_id']), category_id=ids(item['category_id']))
    return gt, dt


@pytest.mark.parametrize('spelling', [
    # of three digits each, so that text has the order of the numbers
    dict(ids=lambda id: f'{id + 100}'),
    dict(ids=float),
    dict(ids=lambda id: id if id % 2 else str(id)),
    dict(size=float),
    dict(size=str),
    dict(area=str),
    dict(iscrowd=bool),
    dict(iscrowd=lambda value: value or None),
], ids=['ids as text', 'ids as floats', 'ids of both kinds', 'sizes as floats', 'sizes as text', 'areas as text',
        'iscrowd as bool', 'iscrowd as null'])
@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_how_numbers_are_written_does_not_matter(backend, two_boxes, spelling, iou_type):
    crowd = annotation(3, 1, 7, [50, 50, 50, 50], iscrowd=1)
    gt = {**two_boxes, 'annotations': [*two_boxes['annotations'], crowd]}
    boxes = [(1, 7, [12, 10, 40, 40], 0.9), (2, 3, [20, 26, 40, 40], 0.8), (1, 7, [60, 60, 20, 20], 0.95)]
    found = [detection(*box) | {'segmentation': rectangle(box[2])} for box in boxes]
    if iou_type == 'segm':
        for det in found:
            del det['bbox']
    expected = oracle(gt, found, iou_type)
    assert 0 < expected[0] < 1
    scores = evaluate_coco(*spelt(gt, found, **spelling), iou_type, backend=backend)
    np.testing.assert_allclose(scores.stats, expected, atol=1e-12)
    ids = spelling.get('ids', int)
    assert {id: scores.num_instances[id] for id in scores.cat_ids} == {ids(3): 1, ids(7): 1}
    assert scores.ap(cat_id=ids(7)) != scores.ap(cat_id=ids(3))


@pytest.mark.parametrize(('change', 'message'), [
    ({'segmentation': {'size': [100, 100], 'counts': [585, 20, 4451]}}, 'no run lengths'),  # pycocotools never ends
    ({'segmentation': [[10, 10, float('nan'), 10, 50, 50]]}, 'no number'),
    ({'segmentation': [[10, 10, 20, 20]]}, 'at least 3 points'),
    ({'area': 'large'}, "'large'"),
    ({'iscrowd': 'no'}, "'no'"),
], ids=str)
def test_what_cannot_be_read_is_named(backend, two_boxes, change, message):
    two_boxes['annotations'][1].update(change)
    with pytest.raises(ValueError, match=f'1 annotations .*cannot be read.*annotation 2: .*{message}'):
        evaluate_coco(two_boxes, [], 'segm', backend=backend)


def test_detected_masks_of_another_size_match_nothing_and_are_named(backend, two_boxes, logged):
    found = [
        {'image_id': image, 'category_id': label, 'score': 0.9, 'segmentation': rectangle(box, 100, width)}
        for image, label, box, width in ((1, 7, [10, 10, 40, 40], 100), (2, 3, [20, 20, 40, 40], 90))
    ]
    scores = evaluate_coco(two_boxes, found, 'segm', backend=backend)
    np.testing.assert_allclose(scores.stats, oracle(two_boxes, found, 'segm'), atol=1e-12)
    assert (scores.ap(cat_id=7), scores.ap(cat_id=3)) == (pytest.approx(1), 0)
    assert 'masks of 1 images are not of the [height, width]' in logged()
    assert '2: [100, 90], not [100, 100]' in logged()


def test_large_ids_are_told_apart(backend, two_boxes):
    """Where floats are the same."""
    gt, found = spelt(two_boxes, [detection(1, 7, [10, 10, 40, 40])], ids=lambda id: id + 2**62)
    assert evaluate_coco(gt, found, backend=backend).ap(cat_id=7 + 2**62) == pytest.approx(1)
    assert evaluate_coco(gt, found, backend=backend).ap(cat_id=3 + 2**62) == 0


def test_a_missing_area_is_the_area_of_the_mask_or_the_box(backend, two_boxes):
    triangle, box = two_boxes['annotations']
    triangle['segmentation'] = [[10, 10, 50, 10, 10, 50]]  # half of 1600 px: small
    del triangle['area'], box['area'], box['segmentation']
    scores = evaluate_coco(two_boxes, [detection(1, 7, [10, 10, 30, 30]), detection(2, 3, [20, 20, 40, 40])],
                           backend=backend)
    assert scores.ap(area='small', cat_id=7) >= 0
    assert scores.ap(area='medium', cat_id=7) == -1
    assert scores.ap(area='medium', cat_id=3) == pytest.approx(1)


def test_a_missing_iscrowd_means_one_object(backend, two_boxes):
    for ann in two_boxes['annotations']:
        del ann['iscrowd']
    assert evaluate_coco(two_boxes, [detection(1, 7, [10, 10, 40, 40])], backend=backend).ap() == pytest.approx(0.5)


def test_proposals_ignore_the_category(backend, two_boxes):
    swapped = [detection(1, 3, [10, 10, 40, 40]), detection(2, 7, [20, 20, 40, 40])]
    assert evaluate_coco(two_boxes, swapped, backend=backend).ar() == 0
    assert evaluate_coco(two_boxes, swapped, use_cats=False, backend=backend).ar() == pytest.approx(1)


def test_one_iou_threshold(backend, two_boxes):
    scores = evaluate_coco(two_boxes, [detection(1, 7, [18, 10, 40, 40])], iou_thrs=0.6, backend=backend)
    assert scores.ap(cat_id=7) == pytest.approx(1)
    assert scores.ap(iou=0.5) == -1


def test_inputs_stay_as_they_are(backend, two_boxes):
    before = copy.deepcopy(two_boxes)
    evaluate_coco(two_boxes, [detection(1, 7, [10, 10, 40, 40])], 'bbox', backend=backend)
    evaluate_coco(two_boxes, [], 'segm', backend=backend)
    assert two_boxes == before


@pytest.mark.parametrize(('change', 'message'), [
    ({'images': []}, 'no images'),
    ({'categories': []}, 'no categories'),
    ({'iou_type': 'boxes'}, "got 'boxes'"),
    ({'backend': 'numba'},
     "^unknown evaluation backend 'numba', known are 'auto', 'faster_coco_eval', 'pycocotools'$"),
    ({'detections': [detection(9, 7, [0, 0, 1, 1])]}, r"image ids \['9'\]"),
], ids=str)
def test_refusals_name_the_reason(two_boxes, change, message):
    arguments = {'detections': [], **change}
    ground_truth = {**two_boxes, **{key: arguments.pop(key) for key in ('images', 'categories') if key in arguments}}
    with pytest.raises(ValueError, match=message):
        evaluate_coco(ground_truth, **arguments)


def test_masks_are_needed_for_segm(backend, two_boxes):
    del two_boxes['annotations'][1]['segmentation']
    with pytest.raises(ValueError, match=r"1 annotations .* no 'segmentation'.*\[2\]"):
        evaluate_coco(two_boxes, [], 'segm', backend=backend)
    two_boxes['annotations'] = [annotation(id, 1, 7, [10, 10, 40, 40]) | {'segmentation': []} for id in (5, 6, 7, 8)]
    with pytest.raises(ValueError, match=r"^4 annotations .*, which 'segm' evaluation compares .* ids \[5, 6, 7\]\)$"):
        evaluate_coco(two_boxes, [], 'segm', backend=backend)


def test_areas_that_are_not_given_are_told_with_a_warning(backend, two_boxes, caplog, logged):
    for ann in two_boxes['annotations']:
        del ann['area']
    evaluate_coco(two_boxes, [], 'bbox', backend=backend)
    words = "2 annotations have no 'area'; the area of the mask, or of the box, decides which of them are small, medium"
    assert f'{words} and large' in logged().splitlines()
    assert [record.levelname for record in caplog.records if "no 'area'" in record.getMessage()] == ['WARNING']


def test_auto_takes_the_first_backend_that_can_run(monkeypatch):
    broken = Backend('faster_coco_eval', BACKENDS[0].run, lambda: 'is not installed')
    monkeypatch.setattr('swin_mmdet.evaluation.backends.BACKENDS', (broken, BACKENDS[1]))
    assert resolve_backend('auto').name == 'pycocotools'
    with pytest.raises(ValueError, match='faster_coco_eval: is not installed'):
        resolve_backend('faster_coco_eval')

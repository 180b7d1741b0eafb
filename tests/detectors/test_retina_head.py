"""The head of RetinaNet against mmdet's, with the same weights."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.dense_heads import RetinaHead as MMDetRetinaHead
from mmengine.config import ConfigDict

from swin_mmdet.detectors import RetinaHead, dense_head, retina_head
from swin_mmdet.detectors.matching import without_small
from tests.detectors.cases import COUNTS, images
from tests.detectors.dense import (
    CLASSES,
    CODER,
    DIFFERENT,
    EQUAL,
    TEST,
    NoSynchronisation,
    assert_any_layout,
    assert_close,
    assert_ignores_as_mmdet,
    assert_no_synchronisation,
    assert_same_detections,
    assert_trained_as_mmdet,
    build_pair,
    detections,
    features,
    losses_and_gradients,
    shapes_of_images,
    what_is_logged,
)

TRAIN = {
    'assigner': {
        'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4, 'min_pos_iou': 0, 'ignore_iof_thr': -1,
    },
    'sampler': {'type': 'PseudoSampler'},
    'allowed_border': -1,
    'pos_weight': -1,
}  # fmt: skip
L1 = {'type': 'L1Loss', 'loss_weight': 0.7}
GIOU = {'type': 'GIoULoss', 'loss_weight': 2.0}


def make(train=(), loss_bbox=L1, test=(), **options):
    options = {
        'anchor_generator': {
            'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 3, 'ratios': [0.5, 1.0, 2.0],
            'strides': [8, 16, 32, 64, 128],
        },
        'bbox_coder': CODER,
        'loss_bbox': loss_bbox,
        'reg_decoded_bbox': loss_bbox is GIOU,
    } | options  # fmt: skip
    return build_pair(RetinaHead, MMDetRetinaHead, options, TRAIN | dict(train), TEST | dict(test))


@pytest.fixture
def said(monkeypatch):
    return what_is_logged(monkeypatch, retina_head, dense_head)


@pytest.mark.parametrize('kind', COUNTS)
@shapes_of_images
@pytest.mark.parametrize(
    ('train', 'loss_bbox'),
    [({}, L1), ({'pos_weight': 3.0}, GIOU), ({'allowed_border': 0}, L1)],
    ids=['as in RetinaNet', 'decoded', 'border'],
)
def test_losses_and_gradients_are_those_of_mmdet(train, loss_bbox, shapes, kind, said):
    ours, theirs = make(train, loss_bbox)
    instances, metas, size = images(kind, shapes, CLASSES)
    expected = losses_and_gradients(theirs, instances, metas, size)
    assert_close(losses_and_gradients(ours, instances, metas, size), expected)
    assert expected['loss_cls'] > 0
    assert (expected['loss_bbox'] > 0) == (kind != 'none')
    assert said == []


@shapes_of_images
@pytest.mark.parametrize('rescale', [False, True], ids=['as seen', 'rescaled'])
@pytest.mark.parametrize(
    'test',
    [{}, {'nms_pre': 99999}, {'min_bbox_size': 12}, {'max_per_img': 7}, {'max_per_img': 9999}, {'score_thr': 0.9}],
    ids=str,
)
def test_detections_are_those_of_mmdet(test, rescale, shapes, said):
    found, expected = detections(make(test=test), shapes, rescale)
    assert sum(map(len, expected)) > 0
    assert_same_detections(found, expected)
    assert said == []


def test_detections_of_the_config_of_a_call(said):
    ours, theirs = make()
    _, metas, size = images('some', EQUAL)
    maps = ours(features(ours, size))
    cfg = copy.deepcopy(ours.test_cfg)
    cfg.max_per_img = 3
    found, expected = (head.predict_by_feat(*maps, batch_img_metas=metas, cfg=cfg) for head in (ours, theirs))
    assert [len(image) for image in found] == [3, 3]
    assert_same_detections(found, expected)
    assert not found[0].bboxes.requires_grad
    assert said == []


def test_a_score_of_just_the_threshold_is_not_above_it(said):
    """A logit of 0 is half of a chance."""
    ours, theirs = make(test={'score_thr': 0.5})
    _, metas, size = images('some', EQUAL)
    with torch.no_grad():
        classes, boxes = ours(features(ours, size))
        classes = [torch.full_like(level, -9.0) for level in classes]
        classes[0][:, 0, 0, 0], classes[1][:, 1, 1, 1] = 0.0, 1.0
        found, expected = (head.predict_by_feat(classes, boxes, batch_img_metas=metas) for head in (ours, theirs))
    assert [len(image) for image in found] == [1, 1]
    assert_same_detections(found, expected)
    assert said == []


@pytest.mark.parametrize(
    ('smallest', 'kept'), [(None, [1, 1, 1, 1]), (-1, [1, 1, 1, 1]), (0, [1, 1, 1, 0]), (4, [1, 0, 0, 0])]
)
def test_both_sides_of_a_box_are_longer_than_the_least(smallest, kept):
    boxes = torch.tensor([[0.0, 0, 5, 5], [1, 1, 5, 9], [1, 1, 9, 5], [2, 2, 9, 2]])
    cfg = ConfigDict() if smallest is None else ConfigDict(min_bbox_size=smallest)
    valid = torch.tensor([True, True, False, True])
    found = without_small(valid, boxes, cfg)
    assert found.tolist() == [is_valid and bool(one) for is_valid, one in zip(valid.tolist(), kept, strict=True)]


def test_nothing_above_the_threshold():
    ours, theirs = make(test={'score_thr': 1.0})
    _, metas, size = images('some', EQUAL)
    maps = ours(features(ours, size))
    found, expected = (head.predict_by_feat(*maps, batch_img_metas=metas) for head in (ours, theirs))
    assert [len(image) for image in found] == [0, 0]
    assert_same_detections(found, expected)
    assert [image.labels.dtype for image in found] == [torch.int64] * 2


@pytest.mark.parametrize('kind', ['none and one', 'odd'])
def test_training_does_not_synchronise(kind):
    ours, _ = make()
    instances, metas, size = images(kind, DIFFERENT, CLASSES)
    assert_no_synchronisation(ours, instances, metas, size)


def test_mmdet_s_head_synchronises():
    """As a check of the check."""
    _, theirs = make()
    instances, metas, size = images('some', EQUAL, CLASSES)
    outs = theirs(features(theirs, size))
    with NoSynchronisation(), pytest.raises(AssertionError, match='synchronises'):
        theirs.loss_by_feat(*outs, instances, metas)


def test_the_layout_of_maps_is_no_matter():
    assert_any_layout(make()[0])


@pytest.mark.parametrize(
    ('change', 'options', 'reason'),
    [
        ({'assigner': TRAIN['assigner'] | {'gt_max_assign_all': False}}, {}, 'gt_max_assign_all'),
        ({'assigner': {'type': 'ATSSAssigner', 'topk': 9}}, {}, 'ATSSAssigner'),
        ({'sampler': {'type': 'RandomSampler', 'num': 9, 'pos_fraction': 0.5}}, {}, 'RandomSampler'),
        ({}, {'loss_cls': {'type': 'CrossEntropyLoss', 'use_sigmoid': True}}, 'CrossEntropyLoss'),
        ({}, {'loss_cls': {'type': 'FocalLoss', 'activated': True}}, 'activated=True'),
        ({}, {'bbox_coder': {'type': 'TBLRBBoxCoder'}}, 'TBLRBBoxCoder'),
    ],
)
def test_what_it_cannot_train_is_mmdet_s_and_said(change, options, reason, monkeypatch, said):
    assert_trained_as_mmdet(make(change, **options)[0], MMDetRetinaHead, reason, monkeypatch, said)


@pytest.mark.parametrize(
    ('test', 'reason'),
    [
        ({'nms_pre': -1}, 'nms_pre'),
        ({'max_per_img': -1}, 'max_per_img'),
        ({'nms': {'type': 'soft_nms', 'iou_threshold': 0.5}}, 'soft_nms'),
    ],
)
def test_what_it_cannot_predict_is_mmdet_s_and_said(test, reason, said):
    ours, theirs = make(test=test)
    _, metas, size = images('some', EQUAL)
    maps = ours(features(ours, size))
    assert_same_detections(*(head.predict_by_feat(*maps, batch_img_metas=metas) for head in (ours, theirs)))
    assert len(said) == 1
    assert reason in said[0]


@pytest.mark.parametrize('limit', ['nms_pre', 'max_per_img'])
def test_no_limit_is_as_one_of_minus_one(limit):
    ours, _ = make()
    assert ours._why_not_detected(ours.test_cfg) is None
    assert ours._why_not_detected(ours.test_cfg | {limit: 1}) is None
    without = ConfigDict({key: value for key, value in ours.test_cfg.items() if key != limit})
    for cfg, value in ((without, -1), (ours.test_cfg | {limit: -1}, -1), (ours.test_cfg | {limit: 0}, 0)):
        assert ours._why_not_detected(ConfigDict(cfg)) == f'{limit}={value}: there is no limit'


def test_boxes_before_nms_are_mmdet_s(said):
    ours, theirs = make()
    _, metas, size = images('some', EQUAL)
    maps = ours(features(ours, size))
    found, expected = (head.predict_by_feat(*maps, batch_img_metas=metas, with_nms=False) for head in (ours, theirs))
    assert_same_detections(found, expected)
    assert len(found[0]) > TEST['max_per_img']
    assert 'before NMS' in said[0]


def test_regions_to_ignore_are_mmdet_s_only_where_there_are_any(said):
    assert_ignores_as_mmdet(make({'assigner': TRAIN['assigner'] | {'ignore_iof_thr': 0.5}}), said)


def test_an_image_without_anchors_is_named():
    ours, _ = make({'allowed_border': 0})
    instances, metas, size = images('some', ((4, 4), (96, 128)), CLASSES)
    with pytest.raises(ValueError, match=r'no anchor lies inside an image of \(4, 4\)'):
        ours.loss_by_feat(*ours(features(ours, size)), instances, metas)

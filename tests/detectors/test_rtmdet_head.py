"""The heads of RTMDet against mmdet's, with the same weights."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.dense_heads import RTMDetHead as MMDetRTMDetHead
from mmdet.models.dense_heads import RTMDetSepBNHead as MMDetRTMDetSepBNHead
from mmdet.models.task_modules import DynamicSoftLabelAssigner

from swin_mmdet.detectors import RTMDetHead, RTMDetSepBNHead, dense_head, rtmdet_head
from tests.detectors.cases import COUNTS, DEVICE, images
from tests.detectors.dense import (
    CLASSES,
    DIFFERENT,
    EQUAL,
    TEST,
    assert_close,
    assert_no_synchronisation,
    assert_same_detections,
    build_pair,
    detections,
    features,
    losses_and_gradients,
    shapes_of_images,
    what_is_logged,
)

PAIRS = {'one': (RTMDetHead, MMDetRTMDetHead), 'shared': (RTMDetSepBNHead, MMDetRTMDetSepBNHead)}
TRAIN = {'assigner': {'type': 'DynamicSoftLabelAssigner', 'topk': 13}, 'allowed_border': -1, 'pos_weight': -1}
every_head = pytest.mark.parametrize('name', PAIRS)


def make(name='shared', train=(), test=(), **options):
    options = {
        'anchor_generator': {'type': 'MlvlPointGenerator', 'offset': 0, 'strides': [8, 16, 32]},
        'bbox_coder': {'type': 'DistancePointBBoxCoder'},
        'norm_cfg': {'type': 'GN', 'num_groups': 2},
        'loss_cls': {'type': 'QualityFocalLoss', 'use_sigmoid': True, 'beta': 2.0, 'loss_weight': 1.3},
        'loss_bbox': {'type': 'GIoULoss', 'loss_weight': 2.0},
        'with_objectness': name == 'one',
    } | ({'exp_on_reg': True} if name == 'shared' else {}) | options  # fmt: skip
    pair = build_pair(*PAIRS[name], options, TRAIN | dict(train), TEST | {'nms_pre': 1000} | dict(test))
    for head in pair:
        for layer in head.rtm_reg if name == 'shared' else [head.rtm_reg]:
            # boxes as large as objects
            torch.nn.init.constant_(layer.bias, 0.9)
        for scale in getattr(head, 'scales', ()):
            torch.nn.init.ones_(scale.scale)
    return pair


@pytest.fixture
def said(monkeypatch):
    return what_is_logged(monkeypatch, rtmdet_head, dense_head)


@every_head
@pytest.mark.parametrize('kind', COUNTS)
@shapes_of_images
def test_losses_and_gradients_are_those_of_mmdet(name, shapes, kind, said):
    ours, theirs = make(name)
    instances, metas, size = images(kind, shapes, CLASSES)
    expected = losses_and_gradients(theirs, instances, metas, size)
    assert_close(losses_and_gradients(ours, instances, metas, size), expected)
    assert expected['loss_cls'] > 0
    assert (expected['loss_bbox'] > 0) == (kind != 'none')
    assert said == []


@pytest.mark.parametrize(
    'options',
    [
        {'train': {'pos_weight': 3.0}},
        {'train': {'assigner': TRAIN['assigner'] | {'topk': 4, 'soft_center_radius': 2.0, 'iou_weight': 1.0}}},
        {'loss_bbox': {'type': 'DIoULoss', 'loss_weight': 0.7}},
    ],
    ids=['weight', 'assigner', 'loss'],
)
def test_settings(options, said):
    ours, theirs = make(**copy.deepcopy(options))
    instances, metas, size = images('some', DIFFERENT, CLASSES)
    assert_close(
        losses_and_gradients(ours, instances, metas, size), losses_and_gradients(theirs, instances, metas, size)
    )
    assert said == []


@every_head
@pytest.mark.parametrize('kind', ['none', 'some'])
def test_training_does_not_synchronise(name, kind):
    assert_no_synchronisation(make(name)[0], *images(kind, DIFFERENT, CLASSES))


@every_head
@shapes_of_images
@pytest.mark.parametrize('rescale', [False, True], ids=['as seen', 'rescaled'])
@pytest.mark.parametrize('test', [{}, {'score_thr': 0.35, 'min_bbox_size': 20}, {'nms_pre': 30}], ids=str)
@pytest.mark.parametrize('candidates', [(2048, 8192), (110, 8192)], ids=['at once', 'in two goes'])
def test_detections_are_those_of_mmdet(name, shapes, rescale, test, candidates, monkeypatch, said):
    monkeypatch.setattr(rtmdet_head, 'CANDIDATES', candidates)
    found, expected = detections(make(name, test=test), shapes, rescale)
    for one in (*found, *expected):
        assert (one.scores.diff() <= 0).all()
    # in any order of equal scores
    pair = ([one[(one.bboxes.sum(1) + 1e4 * one.scores).argsort()] for one in each] for each in (found, expected))
    assert_same_detections(*pair)
    assert max(map(len, found)) > 5
    assert said == []


def test_where_too_many_candidates_overlap_images_go_one_by_one(monkeypatch, said):
    monkeypatch.setattr(rtmdet_head, 'CANDIDATES', (20,))
    assert_same_detections(*detections(make(), EQUAL, False))
    assert said == ['RTMDetSepBNHead: boxes are predicted image by image: more than 20 candidates overlap']


@every_head
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
def test_boxes_are_float32_under_autocast(name, dtype):
    ours, theirs = make(name)
    instances, metas, size = images('some', EQUAL, CLASSES)
    with torch.no_grad():
        exact = torch.cat([one.flatten() for one in theirs(features(theirs, size))[1]])
        with torch.autocast(DEVICE, dtype):
            (_, boxes), (_, half) = (head(features(head, size)) for head in (ours, theirs))
            maps = ours(features(ours, size))
            losses = ours.loss_by_feat(*maps, instances, metas)
            found = ours.predict_by_feat(*maps, batch_img_metas=metas)
    assert {one.dtype for one in (*boxes, *losses.values())} == {torch.float32}
    assert {one.bboxes.dtype for one in found} == {one.scores.dtype for one in found} == {torch.float32}
    errors = [(torch.cat([one.flatten() for one in each]) - exact).abs().mean() for each in (boxes, half)]
    assert errors[0] < errors[1]
    truth = theirs.loss_by_feat(*theirs(features(theirs, size)), instances, metas)
    for key, loss in losses.items():
        assert loss.item() == pytest.approx(sum(truth[key]).item(), rel=0.1)


class OwnAssigner(DynamicSoftLabelAssigner):
    """An assigner that may assign otherwise."""


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ({}, 'the assigner is OwnAssigner, not DynamicSoftLabelAssigner'),
        ({'loss_bbox': {'type': 'GIoULoss', 'reduction': 'none'}}, 'loss_bbox has reduction=none'),
        ({'train': {'allowed_border': 0}}, 'allowed_border=0'),
    ],
    ids=['assigner', 'loss', 'border'],
)
def test_what_it_cannot_train_is_mmdets_and_said(options, reason, said):
    heads = make(**options)
    instances, metas, size = images('some', DIFFERENT, CLASSES)
    if not options:
        for head in heads:
            head.assigner.__class__ = OwnAssigner
    if 'reduction' in reason:
        for head in heads:
            with pytest.raises((ValueError, RuntimeError)):
                losses_and_gradients(head, instances, metas, size)
    else:
        assert_close(*(losses_and_gradients(head, instances, metas, size) for head in heads))
    assert set(said) == {f'RTMDetSepBNHead: training as in mmdet: {reason}'}


def test_what_it_cannot_predict_is_mmdets_and_said(said):
    heads = make(test={'nms': {'type': 'soft_nms', 'iou_threshold': 0.5}})
    assert_same_detections(*detections(heads, DIFFERENT, True))
    assert set(said) == {
        "RTMDetSepBNHead: boxes are predicted image by image: nms={'type': 'soft_nms', 'iou_threshold': 0.5}"
    }

"""The head of ATSS against mmdet's, with the same weights."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.dense_heads import ATSSHead as MMDetATSSHead

from swin_mmdet.detectors import ATSSHead, atss_head, dense_head
from tests.detectors.cases import COUNTS, images
from tests.detectors.dense import (
    CLASSES,
    CODER,
    DIFFERENT,
    EQUAL,
    TEST,
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

TRAIN = {'assigner': {'type': 'ATSSAssigner', 'topk': 9}, 'allowed_border': -1, 'pos_weight': -1}
STRIDES = [8, 16, 32, 64, 128]
# of mmdet's config and, of those with DyHead, kernels of one pixel and anchors in the middle of theirs
VARIANTS = {'ATSS': (1.0, 0.0, 3), 'DyHead': (1.0, 0.5, 1)}


def make(train=(), test=(), variant='ATSS', **options):
    ratio, offset, kernel = VARIANTS[variant]
    options = {
        'anchor_generator': {
            'type': 'AnchorGenerator', 'octave_base_scale': 8, 'scales_per_octave': 1, 'ratios': [ratio],
            'strides': STRIDES, 'center_offset': offset,
        },
        'norm_cfg': {'type': 'GN', 'num_groups': 2},
        'pred_kernel_size': kernel,
        'bbox_coder': CODER,
        'loss_bbox': {'type': 'GIoULoss', 'loss_weight': 2.0},
        'loss_centerness': {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 0.6},
    } | options  # fmt: skip
    return build_pair(ATSSHead, MMDetATSSHead, options, TRAIN | dict(train), TEST | dict(test))


@pytest.fixture
def said(monkeypatch):
    return what_is_logged(monkeypatch, atss_head, dense_head)


@pytest.mark.parametrize('kind', COUNTS)
@shapes_of_images
@pytest.mark.parametrize(
    ('train', 'variant'),
    [({}, 'ATSS'), ({'pos_weight': 3.0}, 'DyHead'), ({'allowed_border': 80}, 'ATSS')],
    ids=['as in ATSS', 'DyHead', 'border'],
)
def test_losses_and_gradients_are_those_of_mmdet(train, variant, shapes, kind, said):
    ours, theirs = make(train, variant=variant)
    instances, metas, size = images(kind, shapes, CLASSES)
    expected = losses_and_gradients(theirs, instances, metas, size)
    assert_close(losses_and_gradients(ours, instances, metas, size), expected)
    assert expected['loss_cls'] > 0
    assert (expected['loss_bbox'] > 0) == (expected['loss_centerness'] > 0) == (kind != 'none')
    assert said == []


def test_counts_are_of_all_processes(monkeypatch, said):
    """As if another process had twice the anchors with objects, and might be one that runs mmdet's code."""
    ours, theirs = make()
    instances, metas, size = images('some', EQUAL, CLASSES)
    alone = losses_and_gradients(ours, instances, metas, size)
    asked = []
    for module in ('swin_mmdet.detectors.atss_head', 'mmdet.models.dense_heads.atss_head'):
        monkeypatch.setattr(f'{module}.reduce_mean', lambda x: asked.append(x) or x * 1.5)
    expected = losses_and_gradients(theirs, instances, metas, size)
    assert_close(losses_and_gradients(ours, instances, metas, size), expected)
    torch.testing.assert_close(asked[2:], asked[:2])
    for name in ('loss_cls', 'loss_bbox', 'loss_centerness'):
        torch.testing.assert_close(expected[name] * 1.5, alone[name])
    assert len(asked) == 4
    assert said == []


@shapes_of_images
@pytest.mark.parametrize('rescale', [False, True], ids=['as seen', 'rescaled'])
@pytest.mark.parametrize(
    'test', [{}, {'nms_pre': 99999}, {'min_bbox_size': 12}, {'max_per_img': 7}, {'score_thr': 0.6}], ids=str
)
def test_detections_are_those_of_mmdet(test, rescale, shapes, said):
    found, expected = detections(make(test=test), shapes, rescale)
    assert all(map(len, expected))
    assert_same_detections(found, expected)
    assert said == []


@pytest.mark.parametrize('kind', ['none and one', 'odd'])
def test_training_does_not_synchronise(kind):
    ours, _ = make()
    instances, metas, size = images(kind, DIFFERENT, CLASSES)
    assert_no_synchronisation(ours, instances, metas, size)


def test_the_layout_of_maps_is_no_matter():
    assert_any_layout(make()[0])


@pytest.mark.parametrize(
    ('change', 'options', 'reason'),
    [
        ({'assigner': {'type': 'ATSSAssigner', 'topk': 9, 'alpha': 0.8}}, {}, 'alpha'),
        ({'assigner': {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4}}, {}, 'MaxIoUAssigner'),
        ({'sampler': {'type': 'RandomSampler', 'num': 9, 'pos_fraction': 0.5}}, {}, 'RandomSampler'),
        ({}, {'reg_decoded_bbox': False}, 'reg_decoded_bbox'),
        ({}, {'loss_cls': {'type': 'QualityFocalLoss', 'use_sigmoid': True}}, 'QualityFocalLoss'),
        ({}, {'loss_centerness': {'type': 'MSELoss'}}, 'loss_centerness'),
    ],
)
def test_what_it_cannot_train_is_mmdet_s_and_said(change, options, reason, monkeypatch, said):
    assert_trained_as_mmdet(make(change, **options)[0], MMDetATSSHead, reason, monkeypatch, said)


def test_regions_to_ignore_are_mmdet_s_only_where_there_are_any(said):
    assert_ignores_as_mmdet(make({'assigner': TRAIN['assigner'] | {'ignore_iof_thr': 0.5}}), said)


def test_a_copy_of_the_head_has_its_own_anchors():
    ours, _ = make()
    instances, metas, size = images('some', EQUAL, CLASSES)
    ours.loss_by_feat(*ours(features(ours, size)), instances, metas)
    twin = copy.deepcopy(ours)
    assert twin._anchors.generator is twin.prior_generator

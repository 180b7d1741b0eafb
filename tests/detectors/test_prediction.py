"""Detections of a batch at once against mmdet's own RoI heads with the same weights."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
from mmdet.models.roi_heads import CascadeRoIHead, HybridTaskCascadeRoIHead, StandardRoIHead
from mmdet.models.task_modules import DeltaXYWHBBoxCoder

from swin_mmdet import detectors
from swin_mmdet.detectors import prediction
from swin_mmdet.detectors.prediction import BatchedCascadePrediction, BatchedPrediction
from swin_mmdet.structures import BatchedProposals, EncodedMasks, boxes_of
from tests.detectors.two_stage import build, features, proposals, roi_head_config, samples

# of mmdet's own cascade
pytestmark = pytest.mark.filterwarnings('ignore:To copy construct')
NAMES = ['faster', 'mask', 'cascade', 'cascade mask', 'htc', 'htc semantic']
MASKS = [name for name in NAMES if name not in ('faster', 'cascade')]


class Standard(BatchedPrediction, StandardRoIHead):
    pass


class Cascade(BatchedCascadePrediction, CascadeRoIHead):
    pass


OURS = {
    StandardRoIHead: Standard,
    CascadeRoIHead: Cascade,
    HybridTaskCascadeRoIHead: detectors.HybridTaskCascadeRoIHead,
}


def both(config):
    """mmdet's head and ours with the same weights."""
    theirs, ours = build(config), build(config)
    # methods are all that differs
    ours.__class__ = OURS[type(theirs)]
    return theirs, ours


def predict(head, counts, rescale=True, maps=None):
    maps = features(len(counts)) if maps is None else maps
    with torch.no_grad():
        return head.predict(maps, proposals(counts), samples(len(counts)), rescale=rescale)


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for our, their in zip(ours, theirs):
        assert our.keys() == their.keys()
        for key, expected in their.items():
            assert our[key].dtype == expected.dtype, key
            assert our[key].shape == expected.shape, key
            assert torch.equal(our[key], expected), key


def nothing_left_to_mmdet(monkeypatch):
    def refuse(message):
        raise AssertionError(message)

    monkeypatch.setattr(prediction, 'log_once', refuse)


@pytest.mark.parametrize('rescale', [True, False], ids=['rescaled', 'as seen'])
@pytest.mark.parametrize('counts', [[100], [100, 100], [100, 7, 60], [0, 30, 1], [0, 0]], ids=str)
@pytest.mark.parametrize('name', NAMES)
def test_predictions_are_mmdets(name, counts, rescale, monkeypatch):
    nothing_left_to_mmdet(monkeypatch)
    theirs, ours = both(roi_head_config(name))
    expected = predict(theirs, counts, rescale)
    assert_same(predict(ours, counts, rescale), expected)
    if max(counts) == 100:
        assert 10 < len(expected[0]) <= 100
        assert len(expected[0].labels.unique()) > 1
        assert name not in MASKS or 0.01 < expected[0].masks.float().mean() < 0.9


@pytest.mark.parametrize('counts', [[100, 7, 60], [0, 30, 1]], ids=str)
@pytest.mark.parametrize('name', NAMES)
def test_batched_proposals_are_not_taken_apart(name, counts, monkeypatch):
    nothing_left_to_mmdet(monkeypatch)
    theirs, ours = both(roi_head_config(name))
    boxes, valid = boxes_of(proposals(counts))
    batched = BatchedProposals(boxes, valid.float(), valid)
    with torch.no_grad():
        found = ours.predict(features(3), batched, samples(3), rescale=True)
    assert '_images' not in vars(batched)
    assert_same(found, predict(theirs, counts))
    assert any(map(len, found))


@pytest.mark.parametrize('name', MASKS)
@pytest.mark.parametrize('agnostic', [False, True], ids=['boxes of classes', 'class-agnostic'])
def test_boxes_of_classes_or_of_all(name, agnostic, monkeypatch):
    nothing_left_to_mmdet(monkeypatch)
    config = roi_head_config(name)
    for head in config.bbox_head if isinstance(config.bbox_head, list) else [config.bbox_head]:
        head.reg_class_agnostic = agnostic
    for head in config.mask_head if isinstance(config.mask_head, list) else [config.mask_head]:
        head.class_agnostic = agnostic
    theirs, ours = both(config)
    assert_same(predict(ours, [50, 20, 30]), predict(theirs, [50, 20, 30]))


@pytest.mark.parametrize('name', NAMES)
def test_nothing_above_the_threshold(name):
    config = roi_head_config(name)
    config.test_cfg.score_thr = 1.1
    theirs, ours = both(config)
    expected = predict(theirs, [50, 20])
    # there is nothing to find masks of
    ours._mask_forward = None
    assert_same(predict(ours, [50, 20]), expected)
    assert not any(map(len, expected))


@pytest.mark.parametrize('name', NAMES)
def test_some_images_have_nothing_above_the_threshold(name):
    config = roi_head_config(name)
    config.test_cfg.update(score_thr=0.9, max_per_img=3)
    theirs, ours = both(config)
    maps = features(3)
    for level in maps:
        level[1] = 0
    expected = predict(theirs, [60, 60, 60], maps=maps)
    assert_same(predict(ours, [60, 60, 60], maps=maps), expected)
    assert [len(results) > 0 for results in expected] == [True, False, True]
    assert len(expected[0]) == 3


@pytest.mark.parametrize('name', ['mask', 'cascade mask'])
def test_predictions_of_low_precision_are_mmdets(name, monkeypatch):
    nothing_left_to_mmdet(monkeypatch)
    # mmdet rounds what it decodes to the deltas' type
    decode = DeltaXYWHBBoxCoder.decode
    monkeypatch.setattr(
        DeltaXYWHBBoxCoder, 'decode', lambda self, boxes, deltas, **rest: decode(self, boxes, deltas.float(), **rest)
    )
    theirs, ours = both(roi_head_config(name))
    with torch.autocast('cpu', torch.bfloat16):
        expected = predict(theirs, [50, 30])
        assert_same(predict(ours, [50, 30]), expected)
    assert len(expected[0]) > 10


def test_masks_have_the_size_of_a_scale_factor_in_float32(monkeypatch):
    """0.7 is less in it: of heights between two sizes it takes the lower."""
    nothing_left_to_mmdet(monkeypatch)
    theirs, ours = both(roi_head_config('mask'))
    (sample,) = samples(1)
    sample.set_metainfo(dict(img_shape=(88, 130), ori_shape=(125, 185), scale_factor=(0.7, 0.7)))
    with torch.no_grad():
        found, expected = (
            head.predict(features(1), proposals([50]), [sample], rescale=False) for head in (ours, theirs)
        )
    assert_same(found, expected)
    assert found[0].masks.shape[1:] == (87, 129)
    assert (round(125 * 0.7), round(185 * 0.7)) == (88, 130)


def test_masks_are_encoded():
    _, ours = both(roi_head_config('mask'))
    found = predict(ours, [50, 0])
    assert all(isinstance(results.masks, EncodedMasks) for results in found)
    assert [results.masks.shape[1:] for results in found] == [(60, 80), (241, 180)]
    assert len(found[0].masks) > 0 == len(found[1].masks)


@pytest.mark.parametrize('options', [{}, dict(method='gaussian', sigma=0.3, min_score=0.02)], ids=str)
@pytest.mark.parametrize('name', ['faster', 'htc'])
def test_soft_nms_is_mmdets(name, options, monkeypatch):
    nothing_left_to_mmdet(monkeypatch)
    config = roi_head_config(name)
    config.test_cfg.nms = dict(type='soft_nms', **options)
    theirs, ours = both(config)
    for head in (theirs, ours):
        for box_head in head.bbox_head if name == 'htc' else [head.bbox_head]:
            box_head.fc_cls.weight.data /= 20  # no scores of 1, for equal ones come in any order
    found, expected = predict(ours, [60, 0, 30]), predict(theirs, [60, 0, 30])
    for our, their in zip(found, expected):
        # exp of another library
        torch.testing.assert_close(our.pop('scores'), their.pop('scores'))
    assert_same(found, expected)
    assert len(found[0]) > 10


def other_soft_nms(config):
    config.test_cfg.nms = dict(type='soft_nms', iou_threshold=0.5, offset=1)


def no_clipping(config):
    config.bbox_head.bbox_coder.clip_border = False


def no_limit(config):
    config.test_cfg.max_per_img = -1


def low_mask_threshold(config):
    config.test_cfg.mask_thr_binary = 0.3


def grey_masks(config):
    config.test_cfg.mask_thr_binary = -1


def other_coder(config):
    config.bbox_head.bbox_coder = dict(type='LegacyDeltaXYWHBBoxCoder')


def other_bbox_head(config):
    config.bbox_head = roi_head_config('sabl').bbox_head


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (other_soft_nms, "'offset': 1"),
        (no_clipping, 'clip'),
        (no_limit, 'max_per_img=-1'),
        (other_coder, 'box coder'),
        (other_bbox_head, 'SABLHead'),
        (low_mask_threshold, 'mask_thr_binary=0.3'),
        (grey_masks, 'mask_thr_binary=-1'),
    ],
)
def test_what_is_left_to_mmdet_is_said(change, reason, monkeypatch):
    said = []
    monkeypatch.setattr(prediction, 'log_once', said.append)
    config = roi_head_config('mask')
    change(config)
    theirs, ours = both(config)
    assert_same(predict(ours, [30, 20]), predict(theirs, [30, 20]))
    assert len(said) == 1
    assert reason in said[0]


def test_raw_boxes_for_test_time_augmentation_are_left_to_mmdet():
    theirs, ours = both(roi_head_config('mask'))
    metas = [sample.metainfo for sample in samples(2)]
    with torch.no_grad():
        ours, theirs = (head.predict_bbox(features(2), metas, proposals([9, 5]), None) for head in (ours, theirs))
    assert_same(ours, theirs)
    assert ours[0].scores.shape == (9, 6)

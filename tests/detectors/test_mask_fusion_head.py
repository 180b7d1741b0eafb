"""Results of Mask2Former against mmdet's: instances, whose masks are run lengths, and panoptic segments."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmengine.structures import PixelData

from swin_mmdet.detectors import Mask2Former, MaskFormerFusionHead, mask_fusion_head
from swin_mmdet.ops import grown_masks
from swin_mmdet.structures import EncodedMasks
from tests.detectors.cases import DEVICE
from tests.detectors.dense import what_is_logged
from tests.detectors.mask_heads import DIFFERENT, EQUAL, fusion_twins, ground_truth, maps, twins

QUERIES, STUFF = 20, 4
every_shape = pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal', 'different'])
every_scale = pytest.mark.parametrize('rescale', [False, True], ids=['as seen', 'rescaled'])


def predicted(samples, classes, seed=3, size=None):
    """Logits of classes and smooth ones of masks, at a quarter of the size."""
    generator = torch.Generator().manual_seed(seed)
    height, width = size or [side // 4 for side in samples[0].batch_input_shape]
    scores = 4 * torch.randn(len(samples), QUERIES, classes + 1, generator=generator)
    coarse = torch.randn(len(samples), QUERIES, 5, 6, generator=generator)
    masks = torch.nn.functional.interpolate(coarse, (height, width), mode='bicubic') * 5 - 1
    masks[:, 3] = -1  # of nothing
    return scores.to(DEVICE), masks.to(DEVICE)


def large(masks, samples):
    return torch.nn.functional.interpolate(
        masks, tuple(samples[0].batch_input_shape), mode='bilinear', align_corners=False
    )


@every_shape
@every_scale
@pytest.mark.parametrize('stuff', [0, STUFF], ids=['objects', 'stuff'])
@pytest.mark.parametrize('at_once', [2**25, 50_000], ids=['at once', 'some at a time'])
def test_instances_are_those_of_mmdet(shapes, rescale, stuff, at_once, monkeypatch):
    monkeypatch.setattr(grown_masks, 'PIXELS_AT_ONCE', at_once)
    samples = ground_truth('none', shapes)
    scores, masks = predicted(samples, 3 + stuff)
    ours, theirs = fusion_twins(stuff=stuff, panoptic_on=False)
    found = ours.predict(scores, masks, samples, rescale=rescale)
    expected = theirs.predict(scores, large(masks, samples), samples, rescale=rescale)
    for one, other, sample in zip(found, expected, samples, strict=True):
        assert one.keys() == other.keys() == {'ins_results'}
        one, other = one['ins_results'], other['ins_results']
        assert len(one) == len(other) > 5
        assert isinstance(one.masks, EncodedMasks)
        assert one.masks.shape[1:] == (sample.ori_shape if rescale else sample.img_shape)
        # the order of mmdet's is no order, and masks without a pixel have the same score
        one, other = (each[each.scores > 0] for each in (one, other))
        one, other = (each[each.scores.argsort()] for each in (one, other))
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-5, atol=1e-6)
        assert torch.equal(one.labels, other.labels)
        # our kernel on a GPU rounds otherwise than PyTorch's, and a logit next to 0 may be either
        differing = (one.masks.decode() != other.masks).float().mean()
        assert differing <= (1e-5 if one.bboxes.is_cuda else 0)
        torch.testing.assert_close(one.bboxes, other.bboxes, rtol=0, atol=float(one.bboxes.is_cuda))


@every_shape
@every_scale
@pytest.mark.parametrize('low', [False, True], ids=['all pixels', 'likely pixels'])
def test_segments_are_those_of_mmdet(shapes, rescale, low):
    samples = ground_truth('none', shapes)
    scores, masks = predicted(samples, 3 + STUFF)
    scores[1, :, -1] += 3  # the second image has few
    ours, theirs = fusion_twins(stuff=STUFF, instance_on=False, filter_low_score=low, object_mask_thr=0.5)
    found = ours.predict(scores, masks, samples, rescale=rescale)
    expected = theirs.predict(scores, large(masks, samples), samples, rescale=rescale)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys() == {'pan_results'}
        one, other = one['pan_results'].sem_seg, other['pan_results'].sem_seg
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    kinds = set(expected[0]['pan_results'].sem_seg.unique().tolist())
    assert len(kinds) > 3
    assert 3 + STUFF in kinds


@every_scale
def test_an_image_without_a_segment_is_all_background(rescale):
    samples = ground_truth('none', DIFFERENT)
    scores, masks = predicted(samples, 3)
    scores[..., -1] += 100
    ours, theirs = fusion_twins(max_per_image=2)
    found = ours.predict(scores, masks, samples, rescale=rescale)
    expected = theirs.predict(scores, large(masks, samples), samples, rescale=rescale)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one['pan_results'].sem_seg, other['pan_results'].sem_seg)
        assert (one['pan_results'].sem_seg == 3).all()
        assert len(one['ins_results']) == 2


def test_results_of_stuff_alone_are_empty():
    samples = ground_truth('none', DIFFERENT)
    scores, masks = predicted(samples, 3 + STUFF)
    scores[..., :3] -= 100
    ours, _ = fusion_twins(stuff=STUFF, panoptic_on=False, max_per_image=9)
    for result, sample in zip(ours.predict(scores, masks, samples, rescale=True), samples, strict=True):
        found = result['ins_results']
        assert len(found) == 0
        assert found.masks.shape == (0, *sample.ori_shape)
        assert found.bboxes.shape == (0, 4)


class OwnFusion(MaskFormerFusionHead):
    """With segments of its own."""

    def panoptic_postprocess(self, mask_cls, mask_pred):
        del mask_cls
        return PixelData(sem_seg=mask_pred.new_zeros(1, *mask_pred.shape[1:]))


def test_what_a_class_makes_otherwise_is_its_own_and_said(monkeypatch):
    said = what_is_logged(monkeypatch, mask_fusion_head)
    samples = ground_truth('none', DIFFERENT)
    ours, _ = fusion_twins(instance_on=False)
    ours.__class__ = OwnFusion
    for result in ours.predict(*predicted(samples, 3), samples, rescale=True):
        assert not result['pan_results'].sem_seg.any()
    assert said == ['OwnFusion: results are made image by image: OwnFusion has a panoptic_postprocess of its own']


@every_shape
def test_a_detector_predicts_what_mmdets_parts_predict(shapes):
    samples = ground_truth('none', shapes)
    heads, fusions = twins(stuff=STUFF), fusion_twins(stuff=STUFF, object_mask_thr=0.3)
    features = maps(samples)
    with torch.no_grad():
        small = heads[0].predict_small(features)
        found = fusions[0].predict(*small, samples, rescale=True)
        scores, masks = heads[0].predict(features, samples)
        expected = heads[1].predict(features, samples)
        torch.testing.assert_close((scores, masks), expected, rtol=1e-5, atol=2e-5)
        expected = fusions[1].predict(*expected, samples, rescale=True)
    for one, other in zip(found, expected, strict=True):
        differing = one['pan_results'].sem_seg != other['pan_results'].sem_seg
        assert differing.float().mean() < 1e-3
        one, other = (sorted(each['ins_results'].scores.tolist()) for each in (one, other))
        assert one == pytest.approx(other, abs=1e-4)


def test_the_detector_takes_small_masks_from_its_parts():
    """And large ones where the head or the fusion is mmdet's."""
    samples = ground_truth('none', EQUAL)
    heads, fusions = twins(), fusion_twins(panoptic_on=False)
    detector = Mask2Former.__new__(Mask2Former)
    torch.nn.Module.__init__(detector)
    detector.extract_feat = lambda _: maps(samples)
    results = []
    for head in heads:
        for fusion in fusions:
            detector.panoptic_head, detector.panoptic_fusion_head = head.eval(), fusion
            with torch.no_grad():
                found = detector.predict(torch.zeros(()), [sample.clone() for sample in samples])
            results.append([sorted(sample.pred_instances.scores.tolist()) for sample in found])
            assert isinstance(found[0].pred_instances.masks, EncodedMasks) == (fusion is fusions[0])
    for one in results[1:]:
        assert one == [pytest.approx(scores, abs=1e-4) for scores in results[0]]

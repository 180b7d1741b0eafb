"""Training of R-CNN heads against mmdet's, with the same weights and the same sampled regions."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.roi_heads import CascadeRoIHead as MMDetCascadeRoIHead
from mmdet.models.roi_heads import StandardRoIHead as MMDetStandardRoIHead

from swin_mmdet.detectors import CascadeRoIHead, StandardRoIHead, cascade_training, standard_roi_head
from tests.detectors.cases import COUNTS
from tests.detectors.roi_heads import (
    GIOU,
    L1,
    MASK,
    assert_trained_alike,
    box_head,
    extractor,
    ground_truth,
    losses_and_gradients,
    proposals_of,
    train_config,
    twins,
)

HEADS = {'standard': (StandardRoIHead, MMDetStandardRoIHead), 'cascade': (CascadeRoIHead, MMDetCascadeRoIHead)}


@pytest.fixture(autouse=True)
def _exact(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


def make(kind, with_mask, agnostic=False, loss_bbox=L1):
    """Ours and mmdet's, of the same weights."""

    def options(scope):
        options = {'bbox_roi_extractor': extractor(3, scope)}
        if with_mask:
            options |= {'mask_roi_extractor': extractor(7, scope), 'mask_head': MASK}
        if kind == 'standard':
            return options | {'bbox_head': box_head(agnostic, loss_bbox), 'train_cfg': train_config()}
        return options | {
            'num_stages': 2, 'stage_loss_weights': [1, 0.5],
            'bbox_head': [box_head(agnostic, loss_bbox)] * 2,
            'train_cfg': [train_config(0.4), train_config(0.5)],
        }  # fmt: skip

    return twins(options, HEADS[kind])


@pytest.mark.parametrize('kind', COUNTS)
@pytest.mark.parametrize('shapes', [((96, 128), (96, 128)), ((61, 200), (90, 33))], ids=['equal', 'different'])
@pytest.mark.parametrize(
    ('head', 'with_mask', 'agnostic', 'loss_bbox', 'packed'),
    [
        ('standard', False, False, L1, False),
        ('standard', True, False, L1, True),
        ('standard', True, True, GIOU, False),
        ('cascade', True, True, GIOU, True),
        ('cascade', False, False, L1, False),
    ],
    ids=['Faster', 'Mask', 'Mask, agnostic', 'Cascade Mask', 'Cascade'],
)
def test_losses_and_gradients_are_those_of_mmdet(
    head, with_mask, agnostic, loss_bbox, packed, shapes, kind, monkeypatch
):
    ours, theirs = make(head, with_mask, agnostic, loss_bbox)
    samplings = 1 if head == 'standard' else 2
    assert_trained_alike(ours, theirs, ground_truth(kind, shapes, packed), samplings, monkeypatch)
    # which parts of a user's own may ask for while a stage runs
    assert getattr(ours, 'current_stage', None) == getattr(theirs, 'current_stage', None)


def test_fewer_proposals_than_are_sampled_and_lists_of_them():
    ours, _ = make('standard', True)
    instances, metas, size = ground_truth('some', ((96, 128), (96, 128)), True)
    proposals = [boxes[:3] for boxes in proposals_of(instances, size)]
    losses, gradients = losses_and_gradients(ours, proposals, instances, metas, size, batched=False)
    assert all(torch.isfinite(x).all() for x in (*losses.values(), *gradients))
    assert losses['loss_mask'] > 0


@pytest.mark.parametrize('kind', HEADS)
def test_a_box_head_with_batch_norm_sees_used_regions_alone(kind, monkeypatch):
    """Where the host may ask how many there are: of fewer proposals than are sampled."""
    ours, _ = make(kind, False, True, GIOU)
    instances, metas, size = ground_truth('some', ((96, 128), (96, 128)), True)
    proposals = [boxes[:3] for boxes in proposals_of(instances, size)]
    seen, forward = [], ours._bbox_forward

    def watch(*args):
        seen.append(len(args[-1]))
        return forward(*args)

    monkeypatch.setattr(ours, '_bbox_forward', watch)
    losses_and_gradients(ours, proposals, instances, metas, size, batched=False)
    used = sum(len(boxes) + len(image.bboxes) for boxes, image in zip(proposals, instances, strict=True))
    assert seen[0] == used < 96


@pytest.mark.parametrize(
    ('kind', 'module', 'loss'),
    [
        ('standard', standard_roi_head, 'loss_cls'),
        ('cascade', cascade_training, 's1.loss_cls'),
    ],
)
def test_what_it_cannot_do_is_mmdet_s_and_said(kind, module, loss, monkeypatch):
    said = []
    monkeypatch.setattr(module, 'log_once', said.append)
    ours, _ = make(kind, False)
    (ours.bbox_head[-1] if kind == 'cascade' else ours.bbox_head).loss_cls.use_sigmoid = True
    instances, metas, size = ground_truth('some', ((96, 128), (96, 128)), True)
    losses, _ = losses_and_gradients(ours, proposals_of(instances, size), instances, metas, size, batched=True)
    assert losses[loss] > 0
    assert said[0].startswith(f'{type(ours).__name__}: training as in mmdet: loss_cls')


@pytest.mark.parametrize('kind', HEADS)
def test_regions_to_ignore_are_asked_for(kind, monkeypatch):
    """Of the samples that came, not of none."""
    ours, _ = make(kind, False)
    asked = []
    monkeypatch.setattr(ours, '_why_not_batched', asked.append)
    instances, metas, size = ground_truth('some', ((96, 128), (96, 128)), True)
    losses_and_gradients(ours, proposals_of(instances, size), instances, metas, size, batched=True)
    assert [[len(one) for one in ignored] for ignored in asked] == [[0, 0]]

"""Training of HTC against mmdet's, with the same weights and the same sampled regions."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.roi_heads import HybridTaskCascadeRoIHead as MMDetHybridTaskCascadeRoIHead
from mmdet.models.roi_heads.mask_heads import HTCMaskHead

from swin_mmdet.detectors import HybridTaskCascadeRoIHead
from swin_mmdet.detectors.mask_logits import mask_logits, semantic_features
from swin_mmdet.ops import log
from tests.detectors.cases import COUNTS, DEVICE
from tests.detectors.roi_heads import (
    GIOU,
    L1,
    MASK,
    STRIDES,
    assert_trained_alike,
    box_head,
    extractor,
    ground_truth,
    losses_and_gradients,
    proposals_of,
    train_config,
    twins,
)

STAGES, STUFF, IGNORED = 3, 6, 255
SHAPES = {'equal': ((96, 128), (96, 128)), 'different': ((61, 200), (90, 33))}
# mmdet warns of what HTC's configs set
pytestmark = pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')


@pytest.fixture(autouse=True)
def _exact(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


def semantic_parts(scope):
    return {
        'semantic_roi_extractor': extractor(7, scope) | {'featmap_strides': [8]},
        'semantic_head': {
            'type': 'FusedSemanticHead', 'num_ins': len(STRIDES), 'fusion_level': 1, 'num_convs': 1, 'in_channels': 8,
            'conv_out_channels': 8, 'num_classes': STUFF,
            'loss_seg': {'type': 'CrossEntropyLoss', 'ignore_index': IGNORED, 'loss_weight': 0.2},
        },
    }  # fmt: skip


def make(semantic=False, agnostic=True, loss_bbox=L1, with_mask=True, **settings):
    """Ours and mmdet's, of the same weights."""

    def options(scope):
        stages = {
            'num_stages': STAGES, 'stage_loss_weights': [1, 0.5, 0.25],
            'bbox_head': [box_head(agnostic, loss_bbox)] * STAGES,
            'train_cfg': [train_config(iou, match_low_quality=True) for iou in (0.4, 0.5, 0.6)],
        }  # fmt: skip
        masks = {
            'mask_roi_extractor': extractor(7, scope),
            'mask_head': [MASK | {'type': 'HTCMaskHead', 'with_conv_res': stage > 0} for stage in range(STAGES)],
        }
        return (
            {'bbox_roi_extractor': extractor(3, scope)} | stages | settings
            | (masks if with_mask else {}) | (semantic_parts(scope) if semantic else {})
        )  # fmt: skip

    return twins(options, (HybridTaskCascadeRoIHead, MMDetHybridTaskCascadeRoIHead))


def semantic_maps(metas, size):
    """[1, H, W] of each image, with pixels to ignore where it ends and here and there within."""
    generator = torch.Generator().manual_seed(3)
    maps = []
    for meta in metas:
        height, width = meta['img_shape']
        one = torch.full((1, *size), IGNORED)
        one[:, :height, :width] = torch.randint(STUFF, (1, height, width), generator=generator)
        one[:, : height // 4, ::2] = IGNORED
        maps.append(one.to(DEVICE))
    return maps


@pytest.mark.parametrize('kind', COUNTS)
@pytest.mark.parametrize('shapes', SHAPES)
@pytest.mark.parametrize('mask_info_flow', [True, False], ids=['flow', 'no flow'])
@pytest.mark.parametrize('interleaved', [True, False], ids=['interleaved', 'parallel'])
@pytest.mark.parametrize('semantic', [True, False], ids=['semantic', 'no semantic'])
def test_losses_and_gradients_are_those_of_mmdet(semantic, interleaved, mask_info_flow, shapes, kind, monkeypatch):
    # batch norm, and boxes of each class, in half of the cases each
    loss_bbox, agnostic = (L1, GIOU)[semantic != interleaved], interleaved != mask_info_flow
    ours, theirs = make(semantic, agnostic, loss_bbox, interleaved=interleaved, mask_info_flow=mask_info_flow)
    data = ground_truth(kind, SHAPES[shapes], packed=semantic)
    if semantic:
        data = *data, semantic_maps(*data[1:])
    assert_trained_alike(ours, theirs, data, STAGES * (1 + interleaved), monkeypatch)


@pytest.mark.parametrize('fused', ['bbox', 'mask'])
def test_semantic_features_go_where_they_are_wanted(fused, monkeypatch):
    ours, theirs = make(semantic=True, semantic_fusion=(fused,))
    data = ground_truth('some', SHAPES['equal'], packed=True)
    assert_trained_alike(ours, theirs, (*data, semantic_maps(*data[1:])), 2 * STAGES, monkeypatch)


@pytest.mark.parametrize('semantic', [True, False])
def test_logits_of_masks_are_those_of_the_last_stage(semantic):
    """With the features of the semantic branch where there is one."""
    ours, theirs = make(semantic=semantic)
    x = [torch.randn(2, 8, 96 // stride, 128 // stride, device=DEVICE) for stride in STRIDES]
    rois = torch.tensor([[0, 3.0, 4, 50, 60], [1, 20, 9, 90, 70]], device=DEVICE)
    labels = torch.tensor([1, 0], device=DEVICE)
    with torch.no_grad():
        wanted = theirs.eval().semantic_head(x)[1] if semantic else None
        expected = theirs._mask_forward(-1, x, rois, wanted, training=False)['mask_preds'][-1]
        found = mask_logits(ours.eval(), x, rois, labels, **semantic_features(ours, x))
    torch.testing.assert_close(found[-1], expected[torch.arange(2), labels])


def test_boxes_alone(monkeypatch):
    ours, theirs = make(semantic=True, with_mask=False, interleaved=False)
    data = ground_truth('some', SHAPES['different'], packed=True)
    assert_trained_alike(ours, theirs, (*data, semantic_maps(*data[1:])), STAGES, monkeypatch)


def test_no_sampled_region_has_an_object(monkeypatch):
    ours, theirs = make()
    for head in (ours, theirs):
        head.train_cfg = copy.deepcopy(head.train_cfg)
        for config in head.train_cfg:
            config.sampler.add_gt_as_proposals = False
            config.assigner.update(pos_iou_thr=0.99, neg_iou_thr=0.99, min_pos_iou=0.99)
        head.init_assigner_sampler()
    data = ground_truth('some', SHAPES['equal'], packed=True)
    losses = assert_trained_alike(ours, theirs, data, 2 * STAGES, monkeypatch)
    assert [losses[f's{stage}.loss_mask'] for stage in range(STAGES)] == [0] * STAGES


class OwnTargets(HTCMaskHead):
    """A mask head whose targets are not those of `FCNMaskHead`."""

    def get_targets(self, *args, **kwargs):
        return 1 - super().get_targets(*args, **kwargs)


def with_own_targets(head):
    head.mask_head[-1].__class__ = OwnTargets


def with_sizes(head):
    head.train_cfg[-1].mask_size = (14, 14)


@pytest.mark.parametrize(
    ('settings', 'change', 'reason'),
    [
        ({'with_mask': False}, None, 'interleaved=True without masks, where mmdet refines no boxes'),
        ({}, with_own_targets, 'OwnTargets has a get_targets of its own'),
        ({'interleaved': False, 'mask_info_flow': False}, with_sizes, 'mask_size=(14, 14)'),
    ],
    ids=['no masks', 'targets', 'sizes'],
)
def test_what_it_cannot_do_is_mmdets_and_said_once(settings, change, reason, caplog, monkeypatch):
    monkeypatch.setattr(log, '_LOGGED', set())
    heads = make(semantic=True, **settings)
    instances, metas, size = ground_truth('some', SHAPES['different'], packed=False)
    data = proposals_of(instances, size), instances, metas, size, semantic_maps(metas, size)
    found = []
    for head in heads:
        if change is not None:
            change(head)
        with caplog.at_level('INFO', logger='swin_mmdet'):
            for step in range(2):
                torch.manual_seed(step)
                found.append(losses_and_gradients(head, *data, batched=head is heads[0]))
    said = [record.message for record in caplog.records if 'training' in record.message]
    assert said == [f'HybridTaskCascadeRoIHead: training as in mmdet: {reason}']
    for one, other in zip(found[:2], found[2:], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_missing_semantic_map_is_named():
    ours, _ = make(semantic=True)
    instances, metas, size = ground_truth('some', SHAPES['equal'], packed=True)
    metas[0]['img_path'] = '1.jpg'
    with pytest.raises(ValueError, match=r"none of 1\.jpg: set data_prefix\['seg'\]"):
        losses_and_gradients(ours, proposals_of(instances, size), instances, metas, size, batched=True)

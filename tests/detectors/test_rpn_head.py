"""The proposal head against mmdet's, with the same weights and the same sampled anchors."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.dense_heads import RPNHead as MMDetRPNHead
from mmengine.config import ConfigDict

from swin_mmdet.detectors import RPNHead
from swin_mmdet.detectors import rpn_head as module_of_head
from tests.detectors.cases import COUNTS, DEVICE, SameSampler, images, record

STRIDES = [4, 8, 16, 32]
TRAIN = {
    'assigner': {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.7, 'neg_iou_thr': 0.3, 'min_pos_iou': 0.3},
    'sampler': {
        'type': 'RandomSampler', 'num': 64, 'pos_fraction': 0.5, 'neg_pos_ub': -1, 'add_gt_as_proposals': False,
    },
    'allowed_border': -1,
    'pos_weight': -1,
}  # fmt: skip
TEST = {'nms_pre': 300, 'max_per_img': 100, 'nms': {'type': 'nms', 'iou_threshold': 0.7}, 'min_bbox_size': 0}
L1 = {'type': 'L1Loss', 'loss_weight': 0.7}
GIOU = {'type': 'GIoULoss', 'loss_weight': 2.0}


def make(train=(), loss_bbox=L1, test=()):
    """Ours and mmdet's, of the same weights."""
    torch.manual_seed(0)
    options = {
        'in_channels': 8,
        'feat_channels': 8,
        'anchor_generator': {'type': 'AnchorGenerator', 'scales': [4], 'ratios': [0.5, 1.0, 2.0], 'strides': STRIDES},
        'bbox_coder': {'type': 'DeltaXYWHBBoxCoder', 'target_stds': (0.5, 0.5, 0.4, 0.4)},
        'loss_cls': {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 1.3},
        'loss_bbox': loss_bbox,
        'reg_decoded_bbox': loss_bbox is GIOU,
        'train_cfg': ConfigDict(copy.deepcopy(TRAIN | dict(train))),
        'test_cfg': ConfigDict(copy.deepcopy(TEST | dict(test))),
    }
    ours = RPNHead(**copy.deepcopy(options)).to(DEVICE)
    theirs = MMDetRPNHead(**copy.deepcopy(options)).to(DEVICE)
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def features(size, images=2):
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(images, 8, -(-size[0] // stride), -(-size[1] // stride), generator=generator).to(DEVICE)
        for stride in STRIDES
    )


def losses_and_gradients(head, instances, metas, size):
    maps = [x.clone().requires_grad_() for x in features(size)]
    head.zero_grad()
    losses = head.loss_by_feat(*head(maps), instances, metas)
    losses = {name: sum(x) if isinstance(x, (list, tuple)) else x for name, x in losses.items()}
    sum(losses.values()).backward()
    return [*losses.values(), *(x.grad for x in maps), *(x.grad for x in head.parameters())]


@pytest.mark.parametrize('kind', COUNTS)
@pytest.mark.parametrize('shapes', [((96, 128), (96, 128)), ((61, 200), (90, 33))], ids=['equal', 'different'])
@pytest.mark.parametrize(
    ('train', 'loss_bbox'),
    [
        ({}, L1),
        ({'pos_weight': 3.0}, GIOU),
        ({'allowed_border': 0}, L1),
        ({'sampler': TRAIN['sampler'] | {'num': 999, 'neg_pos_ub': 3}}, L1),
    ],
    ids=['as in R-CNN', 'decoded', 'border', 'many'],
)
def test_losses_and_gradients_are_those_of_mmdet(train, loss_bbox, shapes, kind, monkeypatch):
    ours, theirs = make(train, loss_bbox)
    instances, metas, size = images(kind, shapes, classes=1)
    sizes = [tuple(x.shape[-2:]) for x in features(size)]
    inside = ours._anchors.inside(sizes, torch.device(DEVICE), metas, ours.train_cfg['allowed_border'])
    drawn = record(module_of_head, monkeypatch, inside)
    found = losses_and_gradients(ours, instances, metas, size)
    assert len(drawn) == 2
    theirs.sampler = SameSampler(theirs.sampler, drawn)
    expected = losses_and_gradients(theirs, instances, metas, size)
    assert not drawn
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * max(1, other.abs().max().item()))


@pytest.mark.parametrize('shapes', [((96, 128), (96, 128)), ((61, 200), (90, 33))], ids=['equal', 'different'])
@pytest.mark.parametrize(
    'test', [{}, {'nms_pre': -1}, {'min_bbox_size': 12}, {'max_per_img': 7}, {'max_per_img': 9999}], ids=str
)
def test_proposals_are_those_of_mmdet(test, shapes):
    ours, theirs = make(test=test)
    _, metas, size = images('some', shapes)
    with torch.no_grad():
        maps = ours(features(size))
        found = ours.predict_by_feat(*maps, batch_img_metas=metas)
        expected = theirs.predict_by_feat(*maps, batch_img_metas=metas)
    assert len(found) == 2
    for one, other in zip(found, expected, strict=True):
        assert 0 < len(one) == len(other)
        torch.testing.assert_close(one.scores, other.scores)
        torch.testing.assert_close(one.bboxes, other.bboxes, rtol=1e-5, atol=1e-4)
        assert torch.equal(one.labels, other.labels)


def test_the_layout_of_maps_is_no_matter():
    ours, _ = make()
    _, metas, size = images('some', ((96, 128), (96, 128)))
    with torch.no_grad():
        maps = ours(features(size))
        other = [[x.contiguous(memory_format=torch.channels_last) for x in kind] for kind in maps]
        found, expected = (ours.predict_by_feat(*each, batch_img_metas=metas) for each in (other, maps))
    assert found.valid.any()
    for name in ('boxes', 'scores', 'valid'):
        assert torch.equal(getattr(found, name), getattr(expected, name))


def test_losses_are_named_as_mmdet_s():
    instances, metas, size = images('some', ((96, 128), (96, 128)), classes=1)
    ours, theirs = (head.loss_by_feat(*head(features(size)), instances, metas) for head in make())
    assert list(ours) == list(theirs)


def test_small_boxes_alone_give_no_proposals():
    ours, _ = make(test={'min_bbox_size': 10000})
    _, metas, size = images('some', ((96, 128), (96, 128)))
    found = ours.predict_by_feat(*ours(features(size)), batch_img_metas=metas)
    assert [len(image) for image in found] == [0, 0]


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        ({'sampler': {'type': 'PseudoSampler'}}, 'the sampler is PseudoSampler, not RandomSampler'),
        ({'assigner': TRAIN['assigner'] | {'gt_max_assign_all': False}}, 'the assigner has gt_max_assign_all=False'),
        (
            {'assigner': TRAIN['assigner'] | {'type': 'ApproxMaxIoUAssigner'}},
            'the assigner is ApproxMaxIoUAssigner, not MaxIoUAssigner',
        ),
    ],
)
def test_what_it_cannot_do_is_mmdet_s_and_said(change, reason, monkeypatch):
    said = []
    monkeypatch.setattr(module_of_head, 'log_once', said.append)
    ours, _ = make(change)
    instances, metas, size = images('some', ((96, 128), (96, 128)))
    with monkeypatch.context() as patch:
        called = []
        patch.setattr(MMDetRPNHead, 'loss_by_feat', lambda *args: called.append(args) or {})
        ours.loss_by_feat(*ours(features(size)), instances, metas)
    assert len(called) == 1
    assert said[0] == f'RPNHead: training as in mmdet: {reason}'


@pytest.mark.parametrize('name', ['loss_cls', 'loss_bbox'])
def test_a_loss_that_is_hooked_is_named(name):
    ours, _ = make()
    assert ours._why_not_trained(None) is None
    getattr(ours, name).register_forward_hook(print)
    assert ours._why_not_trained(None) == f'{name} has hooks or a forward of its own'


def test_regions_to_ignore_are_mmdet_s_only_where_there_are_any():
    ours, _ = make({'assigner': TRAIN['assigner'] | {'ignore_iof_thr': 0.5}})
    instances, _, _ = images('some', ((96, 128), (96, 128)))
    empty = [image[:0] for image in instances]
    assert module_of_head.why_not_matched(ours.assigner, ours.sampler, empty) is None
    assert 'ignore' in module_of_head.why_not_matched(ours.assigner, ours.sampler, instances)


def test_an_image_without_anchors_is_named():
    ours, _ = make({'allowed_border': 0})
    instances, metas, size = images('some', ((4, 4), (96, 128)))
    with pytest.raises(ValueError, match=r'no anchor lies inside an image of \(4, 4\)'):
        ours.loss_by_feat(*ours(features(size)), instances, metas)


def test_a_copy_of_the_head_has_its_own_anchors():
    ours, _ = make()
    instances, metas, size = images('some', ((96, 128), (96, 128)))
    before = losses_and_gradients(ours, instances, metas, size)
    assert before[0] > 0
    twin = copy.deepcopy(ours)
    assert twin._anchors.generator is twin.prior_generator


def test_losses_on_proposals_have_no_gradient_to_the_head():
    ours, theirs = make()
    _, metas, size = images('some', ((96, 128), (96, 128)))
    batch, expected = (head.predict_by_feat(*head(features(size)), batch_img_metas=metas) for head in (ours, theirs))
    assert not any(x.requires_grad for x in (batch.boxes, batch.scores))
    assert [one.bboxes.requires_grad for one in batch] == [one.bboxes.requires_grad for one in expected]

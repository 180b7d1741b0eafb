"""Sparse R-CNN's and QueryInst's heads against mmdet's with the same weights."""

import copy

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.dense_heads import EmbeddingRPNHead
from mmdet.models.roi_heads import SparseRoIHead as MMDetSparseRoIHead
from mmdet.models.roi_heads.bbox_heads import DIIHead
from mmdet.models.task_modules import HungarianAssigner, IoUCost
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from swin_mmdet.detectors import SparseRoIHead
from swin_mmdet.detectors.set_matching import match_cheapest
from swin_mmdet.ops import log
from tests.detectors.cases import COUNTS, DEVICE
from tests.detectors.roi_heads import CLASSES, STRIDES, extractor, ground_truth, twins
from tests.numerics import assert_model_no_worse_than_eager

STAGES, PROPOSALS, CHANNELS = 3, 15, 8
SHAPES = {'equal': ((96, 128), (96, 128)), 'different': ((61, 200), (90, 33))}
FOCAL = {'type': 'FocalLoss', 'use_sigmoid': True, 'gamma': 2.0, 'alpha': 0.25, 'loss_weight': 2.0}
SOFTMAX = {'type': 'CrossEntropyLoss', 'loss_weight': 2.0}
CODER = {'type': 'DeltaXYWHBBoxCoder', 'clip_border': False, 'target_stds': [0.5, 0.5, 1.0, 1.0]}
COSTS = [
    {'type': 'FocalLossCost', 'weight': 2.0},
    {'type': 'BBoxL1Cost', 'weight': 5.0, 'box_format': 'xyxy'},
    {'type': 'IoUCost', 'iou_mode': 'giou', 'weight': 2.0},
]


def dynamic_conv(size):
    return {'type': 'DynamicConv', 'in_channels': CHANNELS, 'feat_channels': 4, 'out_channels': CHANNELS,
            'input_feat_shape': size}  # fmt: skip


def make(with_mask=False, loss_cls=FOCAL, coder=CODER, costs=COSTS, pos_weight=1):
    """Ours and mmdet's, of the same weights."""
    box_head = {
        'type': 'DIIHead', 'num_classes': CLASSES, 'num_heads': 2, 'feedforward_channels': 16, 'in_channels': CHANNELS,
        'dynamic_conv_cfg': dynamic_conv(3), 'loss_cls': loss_cls, 'loss_bbox': {'type': 'L1Loss', 'loss_weight': 5.0},
        'loss_iou': {'type': 'GIoULoss', 'loss_weight': 2.0}, 'bbox_coder': coder,
    }  # fmt: skip
    mask_head = {
        'type': 'DynamicMaskHead', 'dynamic_conv_cfg': dynamic_conv(14) | {'with_proj': False}, 'num_convs': 1,
        'num_classes': CLASSES, 'in_channels': CHANNELS, 'conv_out_channels': CHANNELS, 'roi_feat_size': 14,
        'loss_mask': {'type': 'DiceLoss', 'loss_weight': 8.0, 'use_sigmoid': True, 'activate': False, 'eps': 1e-5},
    }  # fmt: skip
    train_config = {
        'assigner': {'type': 'HungarianAssigner', 'match_costs': costs}, 'sampler': {'type': 'PseudoSampler'},
        'pos_weight': pos_weight, 'mask_size': 28,
    }  # fmt: skip

    def options(scope):
        masks = {'mask_roi_extractor': extractor(14, scope), 'mask_head': mask_head}
        return {
            'num_stages': STAGES, 'stage_loss_weights': [1, 0.5, 0.25], 'proposal_feature_channel': CHANNELS,
            'bbox_roi_extractor': extractor(3, scope), 'bbox_head': box_head, 'train_cfg': [train_config] * STAGES,
            'test_cfg': {'max_per_img': PROPOSALS, 'mask_thr_binary': 0.5},
        } | (masks if with_mask else {})  # fmt: skip

    return twins(options, (SparseRoIHead, MMDetSparseRoIHead))


def inputs(instances, metas, size, dtype=torch.float32):
    """Maps, proposals and samples, and what of them has gradients."""
    generator = torch.Generator().manual_seed(1)
    maps = [
        torch.randn(len(metas), CHANNELS, -(-size[0] // s), -(-size[1] // s), generator=generator).to(DEVICE, dtype)
        for s in STRIDES
    ]
    samples = [
        DetDataSample(gt_instances=image, ignored_instances=image[:0], metainfo=meta)
        for image, meta in zip(instances, metas, strict=True)
    ]
    rpn = EmbeddingRPNHead(PROPOSALS, CHANNELS)
    weights = torch.rand(PROPOSALS, 4, generator=generator), torch.randn(PROPOSALS, CHANNELS, generator=generator)
    for parameter, weight in zip(rpn.parameters(), weights, strict=True):
        parameter.data.copy_(weight)
    rpn.to(DEVICE, dtype)
    for one in maps:
        one.requires_grad_()
    return (maps, rpn.predict(maps, samples), samples), [*maps, *rpn.parameters()]


def losses_and_gradients(head, data, dtype=torch.float32):
    arguments, leaves = inputs(*data, dtype)
    head.zero_grad()
    losses = head.loss(*arguments)
    sum(x.sum() for name, x in losses.items() if 'loss' in name).backward()
    zero = torch.zeros((), device=DEVICE)
    return losses, [x.grad if x.grad is not None else zero for x in (*leaves, *head.parameters())]


def assert_trained_alike(heads, data):
    (found, gradients), (expected, expected_gradients) = (losses_and_gradients(head, data) for head in heads)
    assert list(found) == list(expected)
    for name, one in found.items():
        torch.testing.assert_close(one, expected[name], rtol=1e-5, atol=1e-6, msg=lambda text, name=name: name + text)
    for one, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * max(1, other.abs().max().item()))
    return expected


@pytest.mark.parametrize('with_mask', [False, True], ids=['boxes', 'masks'])
@pytest.mark.parametrize('shapes', SHAPES)
@pytest.mark.parametrize('kind', [kind for kind in COUNTS if kind != 'none'])
def test_losses_and_gradients_are_those_of_mmdet(kind, shapes, with_mask):
    losses = assert_trained_alike(make(with_mask), ground_truth(kind, SHAPES[shapes], packed=False))
    assert len(losses) == STAGES * (5 if with_mask else 4)


@pytest.mark.parametrize('with_mask', [False, True], ids=['boxes', 'masks'])
@pytest.mark.parametrize('shapes', SHAPES)
def test_images_without_objects(shapes, with_mask):
    """Losses divided by no objects are so large that two ways of adding up differ by more than 1e-5: float64 judges."""
    ours, theirs = make(with_mask)
    data = ground_truth('none', SHAPES[shapes], packed=False)
    double = copy.deepcopy(theirs).double()
    found, eager, truth = (
        [*losses.values(), *gradients]
        for losses, gradients in (
            losses_and_gradients(ours, data),
            losses_and_gradients(theirs, data),
            losses_and_gradients(double, data, torch.float64),
        )
    )
    assert_model_no_worse_than_eager(found, eager, truth, torch.float32)


@pytest.mark.parametrize('image', [0, 1], ids=['no object', 'one'])
def test_a_batch_of_one_image(image):
    instances, metas, size = ground_truth('none and one', SHAPES['different'], packed=True)
    assert_trained_alike(make(with_mask=True), (instances[image:][:1], metas[image:][:1], size))


@pytest.mark.parametrize(
    'settings',
    [
        {'pos_weight': -1},
        {'pos_weight': 2.5},
        {'coder': CODER | {'clip_border': True}},
        {'loss_cls': SOFTMAX, 'costs': [{'type': 'ClassificationCost'}, *COSTS[1:]]},
        {'costs': COSTS[:1] + [{'type': 'BBoxL1Cost', 'box_format': 'xywh'}, {'type': 'IoUCost', 'iou_mode': 'iou'}]},
    ],
    ids=['no weight', 'weight', 'clipped', 'softmax', 'other costs'],
)
def test_settings(settings):
    assert_trained_alike(make(**settings), ground_truth('some', SHAPES['different'], packed=False))


def test_pairs_cost_least():
    # by hand: the first image has more predictions, the second more objects, the third has none
    costs = [
        torch.tensor([[[1.0, 2], [0, 4], [9, 9]], [[9, 9], [9, 1], [1, 0]]]),
        torch.tensor([[[3.0, 0, 2, 5], [3, 1, 1, 5], [1, 1, 2, 5]], [[4, 3, 2, 1], [4, 3, 0, 9], [0, 3, 2, 9]]]),
        torch.zeros(2, 3, 0),
    ]
    instances = [InstanceData(bboxes=torch.rand(n, 4), labels=torch.arange(n) + 10 * n) for n in (2, 4, 0)]
    # the costs of rows that are no objects are no matter
    padded = [torch.nn.functional.pad(cost.mT, (0, 0, 0, 4 - cost.shape[2]), value=-9) for cost in costs]
    matches = match_cheapest(torch.stack(padded, 1).numpy(), instances)
    first, second = (matches.of_layer(layer) for layer in range(2))
    assert first.counts == second.counts == [2, 3, 0]
    assert first.indices.tolist() == [0, 1, 3, 4, 5]
    assert first.objects.tolist() == [1, 0, 1, 2, 0]
    assert first.images.tolist() == [0, 0, 1, 1, 1]
    assert second.indices.tolist() == [1, 2, 3, 4, 5]
    assert second.objects.tolist() == [1, 0, 3, 2, 0]
    assert second.labels.tolist() == [21, 20, 43, 42, 40]
    torch.testing.assert_close(second.boxes, torch.cat([instances[0].bboxes[[1, 0]], instances[1].bboxes[[3, 2, 0]]]))


def test_what_is_not_a_number_cannot_be_matched():
    heads = make()
    for head in heads:
        torch.nn.init.constant_(head.bbox_head[0].fc_cls.bias, np.nan)
        with pytest.raises(ValueError, match='invalid numeric entries'):
            losses_and_gradients(head, ground_truth('some', SHAPES['equal'], packed=True))


class OwnAssigner(HungarianAssigner):
    """An assigner that may assign otherwise."""


class OwnCost(IoUCost):
    """A cost that may depend on all predictions."""


class OwnHead(DIIHead):
    """A head whose targets are not those of `DIIHead`."""

    def get_targets(self, *args, **kwargs):
        labels, weights, *boxes = super().get_targets(*args, **kwargs)
        return labels, 2 * weights, *boxes


def with_own_assigner(head):
    head.bbox_assigner[1].__class__ = OwnAssigner


def with_own_cost(head):
    head.bbox_assigner[1].match_costs[-1].__class__ = OwnCost


def with_weights_of_stages(head):
    head.bbox_assigner[1].match_costs[0].weight = 7.0


def with_own_head(head):
    head.bbox_head[-1].__class__ = OwnHead


def unchanged(_head):
    pass


@pytest.mark.parametrize(
    ('change', 'coder', 'message'),
    [
        (with_own_assigner, CODER, 'training as in mmdet: the assigner is OwnAssigner, not HungarianAssigner'),
        (with_own_cost, CODER, 'training as in mmdet: the assigner has the cost OwnCost'),
        (with_weights_of_stages, CODER, 'training as in mmdet: the costs of matching differ between stages'),
        (with_own_head, CODER, 'training as in mmdet: OwnHead has a get_targets of its own'),
        (
            unchanged,
            {'type': 'LegacyDeltaXYWHBBoxCoder', 'target_stds': [0.5, 0.5, 1.0, 1.0]},
            'boxes as in mmdet: the box coder is LegacyDeltaXYWHBBoxCoder',
        ),
    ],
    ids=['assigner', 'cost', 'weights', 'head', 'coder'],
)
def test_what_it_cannot_do_is_mmdets_and_said_once(change, coder, message, caplog, monkeypatch):
    monkeypatch.setattr(log, '_LOGGED', set())
    heads = make(coder=coder)
    for head in heads:
        change(head)
    data = ground_truth('some', SHAPES['different'], packed=True)
    with caplog.at_level('INFO', logger='swin_mmdet'):
        for _ in range(2):
            assert_trained_alike(heads, data)
    assert [one.message for one in caplog.records if 'mmdet:' in one.message] == [f'SparseRoIHead: {message}']


@pytest.mark.parametrize('with_mask', [False, True], ids=['boxes', 'masks'])
def test_predictions_are_those_of_mmdet(with_mask):
    data = ground_truth('some', SHAPES['different'], packed=True)
    results = []
    for head in make(with_mask):
        with torch.no_grad():
            results.append(head.eval().predict(*inputs(*copy.deepcopy(data))[0]))
    for one, other in zip(*results, strict=True):
        assert one.keys() == other.keys()
        assert len(one) == PROPOSALS
        torch.testing.assert_close(one.labels, other.labels)
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one.bboxes, other.bboxes, rtol=1e-5, atol=1e-3)
        if with_mask:
            assert (one.masks == other.masks).float().mean() > 0.999


class Waits(TorchFunctionMode):
    """Counts calls for which the host would wait for a GPU."""

    CALLS = {
        torch.nonzero, torch.unique, torch.Tensor.nonzero, torch.Tensor.unique, torch.Tensor.item, torch.Tensor.tolist,
        torch.Tensor.cpu, torch.Tensor.__bool__, torch.Tensor.__int__, torch.Tensor.__float__, torch.Tensor.new_tensor,
    }  # fmt: skip
    INDEXING = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_function__(self, function, _types, args=(), kwargs=None):
        indexed = function in self.INDEXING and getattr(args[1], 'dtype', None) == torch.bool
        self.count += indexed or function in self.CALLS
        return function(*args, **(kwargs or {}))


def test_it_waits_once(monkeypatch):
    counts = []
    for head in make():
        # on a CPU regions are taken from one level after another
        kind = type(head.bbox_roi_extractor[0])
        monkeypatch.setattr(kind, 'forward', lambda _, maps, rois: maps[0].new_ones(len(rois), CHANNELS, 3, 3))
        arguments, _ = inputs(*ground_truth('some', SHAPES['different'], packed=True))
        with Waits() as waits:
            head.loss(*arguments)
        counts.append(waits.count)
    assert counts[0] == 1
    assert counts[1] > 30 * STAGES, counts


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_is_waited_for_once(monkeypatch):
    # not the focal loss, for which mmcv may look at its targets
    head, _ = make(loss_cls=SOFTMAX, costs=[{'type': 'ClassificationCost'}, *COSTS[1:]])
    arguments, _ = inputs(*ground_truth('some', SHAPES['different'], packed=True))
    head.loss(*inputs(*ground_truth('some', SHAPES['different'], packed=True))[0])
    waits, wait = [], torch.cuda.Event.synchronize
    monkeypatch.setattr(torch.cuda.Event, 'synchronize', lambda event: (waits.append(event), wait(event))[1])
    torch.cuda.set_sync_debug_mode('error')
    try:
        head.loss(*arguments)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert len(waits) == 1

"""Ours and mmdet's of a dense head, compared."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from torch.utils._python_dispatch import TorchDispatchMode

from tests.detectors.cases import DEVICE, images

CLASSES = 3
EQUAL, DIFFERENT = ((96, 128), (96, 128)), ((61, 200), (90, 33))
shapes_of_images = pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal', 'different'])
CODER = {'type': 'DeltaXYWHBBoxCoder', 'target_stds': (0.5, 0.5, 0.4, 0.4)}
FOCAL = {'type': 'FocalLoss', 'use_sigmoid': True, 'gamma': 2.0, 'alpha': 0.25, 'loss_weight': 1.3}
TEST = {
    'nms_pre': 200, 'max_per_img': 100, 'nms': {'type': 'nms', 'iou_threshold': 0.5}, 'min_bbox_size': 0,
    'score_thr': 0.3,
}  # fmt: skip


def build_pair(ours, theirs, options, train, test):
    """Of the classes of a head, with random weights, which are the same."""
    torch.manual_seed(0)
    options = {
        'num_classes': CLASSES,
        'in_channels': 8,
        'feat_channels': 8,
        'stacked_convs': 1,
        'loss_cls': FOCAL,
        'train_cfg': train,
        'test_cfg': test,
    } | options
    ours, theirs = (cls(**ConfigDict(copy.deepcopy(options))).to(DEVICE) for cls in (ours, theirs))
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def features(head, size, images=2):
    generator = torch.Generator().manual_seed(1)
    return tuple(
        torch.randn(images, 8, -(-size[0] // high), -(-size[1] // wide), generator=generator).to(DEVICE)
        for wide, high in head.prior_generator.strides
    )


def losses_and_gradients(head, instances, metas, size):
    """By name; those of maps and parameters too."""
    maps = [x.clone().requires_grad_() for x in features(head, size)]
    head.zero_grad()
    losses = head.loss_by_feat(*head(maps), instances, metas)
    losses = {name: sum(x) if isinstance(x, (list, tuple)) else x for name, x in losses.items()}
    sum(losses.values()).backward()
    gradients = {name: x.grad for name, x in head.named_parameters()}
    return losses | {f'map {level}': x.grad for level, x in enumerate(maps)} | gradients


def assert_close(found, expected):
    """Within 1e-5 of the largest."""
    assert found.keys() == expected.keys()
    for name, other in expected.items():
        largest = other[other.isfinite()].abs().max().item() if other.isfinite().any() else 0
        torch.testing.assert_close(
            found[name], other, rtol=0, atol=1e-5 * largest, msg=lambda text, name=name: f'{name}: {text}'
        )


def detections(heads, shapes, rescale):
    """Of each head, from the maps of the first; the second image was scaled."""
    _, metas, size = images('some', shapes)
    metas[1]['scale_factor'] = (0.7, 1.6)
    with torch.no_grad():
        maps = heads[0](features(heads[0], size))
        return [head.predict_by_feat(*maps, batch_img_metas=metas, rescale=rescale) for head in heads]


def what_is_logged(monkeypatch, *modules):
    """A list that grows by every line that they log once."""
    lines = []
    for module in modules:
        monkeypatch.setattr(module, 'log_once', lines.append)
    return lines


def assert_same_detections(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        assert len(one) == len(other)
        torch.testing.assert_close(one.scores, other.scores)
        torch.testing.assert_close(one.bboxes, other.bboxes, rtol=1e-5, atol=1e-4)
        assert torch.equal(one.labels, other.labels)


class NoSynchronisation(TorchDispatchMode):
    """Refuses what would wait for a GPU: numbers for the host, and results whose size depends on numbers."""

    NAMES = ('_local_scalar_dense', 'nonzero', 'masked_select', 'equal', '_unique', '_unique2', 'unique_dim')

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        del types
        name = func.__name__.split('.')[0]
        indices = [x for x in args[1] if x is not None] if name in ('index', 'index_put', 'index_put_') else []
        if name in self.NAMES:
            raise AssertionError(f'{func} synchronises')
        if any(x.dtype in (torch.bool, torch.uint8) for x in indices):
            raise AssertionError(f'{func} with a mask synchronises')
        return func(*args, **(kwargs or {}))


def assert_no_synchronisation(head, instances, metas, size):
    """In losses and their gradients, when the sizes have come before."""
    losses_and_gradients(head, instances, metas, size)
    outs = head([x.requires_grad_() for x in features(head, size)])
    with NoSynchronisation():
        sum(head.loss_by_feat(*outs, instances, metas).values()).backward()


def assert_any_layout(head):
    """Losses and detections are the same whatever the strides of the maps."""
    instances, metas, size = images('some', EQUAL, CLASSES)
    with torch.no_grad():
        maps = head(features(head, size))
        other = [[x.contiguous(memory_format=torch.channels_last) for x in kind] for kind in maps]
        assert_same_detections(*(head.predict_by_feat(*each, batch_img_metas=metas) for each in (other, maps)))
        assert_close(*(head.loss_by_feat(*each, instances, metas) for each in (other, maps)))


def assert_trained_as_mmdet(head, theirs, reason, monkeypatch, said):
    """By `loss_by_feat` of mmdet's class, and the one line of the log says why."""
    instances, metas, size = images('some', EQUAL, CLASSES)
    called = []
    monkeypatch.setattr(theirs, 'loss_by_feat', lambda *args: called.append(args) or {})
    head.loss_by_feat(*head(features(head, size)), instances, metas)
    assert len(called) == len(said) == 1
    assert reason in said[0]


def assert_ignores_as_mmdet(heads, said):
    """Ours, the first, leaves regions to ignore to mmdet, if there are any."""
    instances, metas, size = images('some', EQUAL, CLASSES)
    maps = heads[0](features(heads[0], size))
    heads[0].loss_by_feat(*maps, instances, metas, [image[:0] for image in instances])
    assert said == []
    found, expected = (head.loss_by_feat(*maps, instances, metas, instances[::-1]) for head in heads)
    assert_close({name: sum(x) for name, x in found.items()}, {name: sum(x) for name, x in expected.items()})
    assert 'ignore' in said[0]

"""Heads of DETR and its kin, ours and mmdet's with the same weights, and what a decoder would give them."""

import copy

import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models import dense_heads
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from swin_mmdet import detectors
from tests.detectors.cases import DEVICE, images

CLASSES, CHANNELS, LAYERS, QUERIES, PIXELS = 3, 32, 3, 20, 50
EQUAL, DIFFERENT = ((96, 128), (96, 128)), ((61, 200), (90, 33))
# objects of two images; in an image of the last two there are more of them than queries
COUNTS = {'none': (0, 0), 'one': (0, 1), 'some': (3, 7), 'crowd': (2, 25), 'three hundred': (300, 1)}
FOCAL = {'type': 'FocalLoss', 'use_sigmoid': True, 'gamma': 2.0, 'alpha': 0.25, 'loss_weight': 1.3}
QUALITY = {'type': 'QualityFocalLoss', 'use_sigmoid': True, 'beta': 2.0, 'loss_weight': 0.9}
SOFTMAX = {
    'type': 'CrossEntropyLoss', 'bg_cls_weight': 0.1, 'use_sigmoid': False, 'loss_weight': 1.0, 'class_weight': 1.0,
}  # fmt: skip
COSTS = [
    {'type': 'FocalLossCost', 'weight': 2.0},
    {'type': 'BBoxL1Cost', 'weight': 5.0, 'box_format': 'xywh'},
    {'type': 'IoUCost', 'iou_mode': 'giou', 'weight': 2.0},
]
# of a head's name: settings, and what a decoder gives it
HEADS = {
    'DETRHead': {'loss_cls': SOFTMAX, 'costs': [{'type': 'ClassificationCost', 'weight': 1.0}, *COSTS[1:]]},
    'ConditionalDETRHead': {'loss_cls': FOCAL},
    'DeformableDETRHead': {'share_pred_layer': True, 'num_pred_layer': LAYERS},
    'DeformableDETRHead, two stages': {'num_pred_layer': LAYERS + 1, 'as_two_stage': True},
    'DINOHead': {'num_pred_layer': LAYERS + 1, 'as_two_stage': True, 'sync_cls_avg_factor': True},
}


def twins(name, costs=COSTS, loss_cls=FOCAL, **options):
    """Ours and mmdet's, of the same weights."""
    torch.manual_seed(0)
    settings = HEADS.get(name, {}) | options
    costs, loss_cls = settings.pop('costs', costs), settings.pop('loss_cls', loss_cls)
    settings = {
        'num_classes': CLASSES,
        'embed_dims': CHANNELS,
        'loss_cls': loss_cls,
        'loss_bbox': {'type': 'L1Loss', 'loss_weight': 5.0},
        'loss_iou': {'type': 'GIoULoss', 'loss_weight': 2.0},
        'train_cfg': {'assigner': {'type': 'HungarianAssigner', 'match_costs': costs}},
        'test_cfg': {'max_per_img': 15},
    } | settings
    cls = name.split(',')[0]
    ours, theirs = (
        getattr(module, cls)(**ConfigDict(copy.deepcopy(settings))).to(DEVICE) for module in (detectors, dense_heads)
    )
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def ground_truth(counts, shapes):
    """Samples of images of `shapes` with so many objects each."""
    _, metas, _ = images('some', shapes, CLASSES)
    generator = torch.Generator().manual_seed(7)
    samples = []
    for count, meta in zip(COUNTS.get(counts, counts), metas, strict=True):
        size = torch.tensor(meta['img_shape'][::-1] * 2)
        corners = torch.rand(count, 2, 2, generator=generator)
        boxes = torch.cat([corners.amin(1), corners.amax(1)], 1) * size
        labels = torch.randint(CLASSES, (count,), generator=generator)
        found = InstanceData(bboxes=boxes.to(DEVICE), labels=labels.to(DEVICE))
        meta['scale_factor'] = (0.7, 1.6)
        samples.append(DetDataSample(gt_instances=found, ignored_instances=found[:0], metainfo=meta))
    return samples


def decoded(name, samples, dtype=torch.float32):
    """Arguments of `loss` besides the samples, and the tensors among them that have gradients."""
    generator = torch.Generator().manual_seed(3)

    def random(*shape):
        made = torch.randn(*shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype)
        return made.requires_grad_()

    batch, most = len(samples), max(len(sample.gt_instances) for sample in samples)
    groups = max(1, 12 // max(1, most))
    noisy = 2 * groups * most if name == 'DINOHead' else 0
    states = random(LAYERS, batch, noisy + QUERIES, CHANNELS)
    arguments, leaves = {'hidden_states': states}, [states]
    if name == 'DETRHead':
        return arguments, leaves
    if name == 'ConditionalDETRHead':
        leaves.append(random(batch, QUERIES, 2))
        return arguments | {'references': leaves[-1].sigmoid()}, leaves
    numbers = 4 if 'stages' in name or name == 'DINOHead' else 2
    leaves += [random(batch, noisy + QUERIES, numbers) for _ in range(LAYERS + 1)]
    arguments['references'] = [x.sigmoid() for x in leaves[1:]]
    arguments |= {'enc_outputs_class': None, 'enc_outputs_coord': None}
    if numbers == 4:
        pixels = QUERIES if name == 'DINOHead' else PIXELS
        leaves += [random(batch, pixels, CLASSES), random(batch, pixels, 4)]
        arguments |= {'enc_outputs_class': leaves[-2], 'enc_outputs_coord': leaves[-1].sigmoid()}
    if name == 'DINOHead':
        arguments['dn_meta'] = {'num_denoising_queries': noisy, 'num_denoising_groups': groups}
    return arguments, leaves


def losses_and_gradients(head, name, samples, dtype=torch.float32):
    """By name; those of inputs and parameters too."""
    arguments, leaves = decoded(name, samples, dtype)
    head.zero_grad()
    losses = head.loss(**arguments, batch_data_samples=samples)
    sum(loss.sum() for loss in losses.values()).backward()
    gradients = {f'input {place}': leaf.grad for place, leaf in enumerate(leaves)}
    gradients |= {name: parameter.grad for name, parameter in head.named_parameters()}
    return losses, {key: torch.zeros(()) if value is None else value for key, value in gradients.items()}


def assert_alike(found, expected):
    """Of `losses_and_gradients`: within 1e-5, of the largest where that is above one.

    The gradient of a point jumps where it meets the middle of a pixel, and of two points as uncertain as each other one
    is taken. Where the kernels are not the same, as on a GPU, rounding decides, and gradients are alike within 2 %.
    """
    (found, gradients), (expected, expected_gradients) = found, expected
    assert list(found) == list(expected)
    for one, other in ((found, expected), (gradients, expected_gradients)):
        assert one.keys() == other.keys()
        for key, value in other.items():
            allowed = 1e-5 * max(1, value.abs().max().item() if value.numel() else 0)
            # a loss of no queries has a dimension in mmdet
            value = value.reshape(one[key].shape)
            if value.is_cuda and one is gradients:
                assert (one[key] - value).norm() <= 2e-2 * value.norm() + 1e-5, key
                continue
            torch.testing.assert_close(
                one[key], value, rtol=0, atol=allowed, msg=lambda text, key=key: f'{key}: {text}'
            )

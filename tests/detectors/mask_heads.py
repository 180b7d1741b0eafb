"""Heads of Mask2Former, ours and mmdet's with the same weights, ground truth, and the same random points."""

import copy

import numpy as np
import torch
from torch import nn

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models import dense_heads, seg_heads
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData, PixelData

from swin_mmdet import detectors
from swin_mmdet.structures import PackedMasks
from tests.detectors.cases import DEVICE, images

CHANNELS, LAYERS, QUERIES, STRIDES, IN_CHANNELS = 32, 3, 20, (4, 8, 16, 32), (4, 6, 8, 10)
# the last level is of as many places as there are queries, or not
EQUAL, DIFFERENT = ((128, 160), (128, 160)), ((61, 200), (90, 33))
COUNTS = {'none': (0, 0), 'one': (0, 1), 'some': (3, 7), 'crowd': (2, 25), 'three hundred': (300, 1)}
POINTS = {'num_points': 112, 'oversample_ratio': 3.0, 'importance_sample_ratio': 0.75}
COSTS = [
    {'type': 'ClassificationCost', 'weight': 2.0},
    {'type': 'CrossEntropyLossCost', 'weight': 5.0, 'use_sigmoid': True},
    {'type': 'DiceCost', 'weight': 5.0, 'pred_act': True, 'eps': 1.0},
]
TEST = {'panoptic_on': True, 'instance_on': True, 'max_per_image': 30, 'iou_thr': 0.2, 'filter_low_score': True}


def settings(things=3, stuff=0, costs=COSTS, **options):
    classes = things + stuff
    own = {'embed_dims': CHANNELS, 'num_heads': 4, 'dropout': 0.0, 'batch_first': True}
    ffn = {'embed_dims': CHANNELS, 'feedforward_channels': 24, 'num_fcs': 2, 'act_cfg': {'type': 'ReLU'}}
    deformable = own | {'num_levels': 3, 'num_points': 2}
    encoder = {'num_layers': 2, 'layer_cfg': {'self_attn_cfg': deformable, 'ffn_cfg': ffn}}
    return {
        'in_channels': list(IN_CHANNELS), 'strides': list(STRIDES), 'feat_channels': CHANNELS, 'out_channels': CHANNELS,
        'num_things_classes': things, 'num_stuff_classes': stuff, 'num_queries': QUERIES,
        'num_transformer_feat_level': 3,
        'pixel_decoder': {
            'type': 'MSDeformAttnPixelDecoder', 'num_outs': 3, 'norm_cfg': {'type': 'GN', 'num_groups': 4},
            'encoder': encoder, 'positional_encoding': {'num_feats': CHANNELS // 2, 'normalize': True},
        },
        'positional_encoding': {'num_feats': CHANNELS // 2, 'normalize': True},
        'transformer_decoder': {
            'return_intermediate': True, 'num_layers': LAYERS,
            'layer_cfg': {'self_attn_cfg': own, 'cross_attn_cfg': own, 'ffn_cfg': ffn},
        },
        'loss_cls': {
            'type': 'CrossEntropyLoss', 'use_sigmoid': False, 'loss_weight': 2.0,
            'class_weight': [1.0] * classes + [0.1],
        },
        'loss_mask': {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 5.0},
        'loss_dice': {
            'type': 'DiceLoss', 'use_sigmoid': True, 'activate': True, 'naive_dice': True, 'eps': 1.0,
            'loss_weight': 5.0,
        },
        'train_cfg': POINTS | {
            'assigner': {'type': 'HungarianAssigner', 'match_costs': costs}, 'sampler': {'type': 'MaskPseudoSampler'},
        },
        'test_cfg': TEST,
    } | options  # fmt: skip


def twins(cls='Mask2FormerHead', **options):
    """Ours and mmdet's, of the same weights."""
    torch.manual_seed(0)
    made = []
    for module, scope in ((detectors, 'swin_mmdet.'), (dense_heads, '')):
        config = copy.deepcopy(settings(**options))
        config['pixel_decoder']['type'] = scope + config['pixel_decoder']['type']
        made.append(getattr(module, cls)(**ConfigDict(config)).to(DEVICE))
    ours, theirs = made
    for name, parameter in ours.named_parameters():
        # queries that differ little have ties among their costs
        nn.init.normal_(parameter, std=2.0 if name.startswith('query') else 0.25)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def fusion_twins(things=3, stuff=0, **options):
    options = {'num_things_classes': things, 'num_stuff_classes': stuff, 'test_cfg': ConfigDict(TEST | options)}
    return detectors.MaskFormerFusionHead(**options), seg_heads.MaskFormerFusionHead(**options)


def ground_truth(counts, shapes, things=3, stuff=0, packed=True):
    """Samples of images of `shapes` with so many objects each, one of them without a pixel if there are many."""
    _, metas, size = images('some', shapes)
    rng = np.random.default_rng(4)
    samples = []
    for count, meta in zip(COUNTS.get(counts, counts), metas, strict=True):
        height, width = meta['img_shape']
        bitmaps = np.zeros((count, *size), np.uint8)
        for number, bitmap in enumerate(bitmaps):
            x, y = rng.integers(0, (width, height))
            w, h = rng.integers(1, (width, height))
            # masks without any of the points would be tied
            (x, y), (w, h) = (x // 2, y // 2), (w // 2 + width // 3, h // 2 + height // 3)
            bitmap[y : min(y + h, height), x : min(x + w, width)] = rng.random() < 0.7 or rng.integers(0, 2, (1, 1))
            is_noisy = number % 2 or count > 100
            bitmap[: height // 2, : width // 2] |= rng.integers(0, 2, (height // 2, width // 2), np.uint8) * is_noisy
            bitmap *= number != 5
        masks = BitmapMasks(bitmaps, *size)
        found = InstanceData(
            labels=torch.from_numpy(rng.integers(0, things, count)).to(DEVICE),
            bboxes=torch.zeros(count, 4, device=DEVICE),
            masks=PackedMasks.from_bitmap(masks).to(DEVICE) if packed else masks,
        )
        meta['ori_shape'] = (height * 3 // 4 + 1, width * 4 // 5)
        sample = DetDataSample(gt_instances=found, ignored_instances=found[:0], metainfo=meta)
        if stuff:
            blocks = rng.integers(0, things + stuff, (-(-size[0] // 16), -(-size[1] // 16)))
            blocks[rng.random(blocks.shape) < 0.2] = 255
            whole = np.kron(blocks, np.ones((16, 16), np.int64))[: size[0], : size[1]].astype(np.uint8)
            sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(whole)[None].to(DEVICE))
        samples.append(sample)
    return samples


def maps(samples, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    height, width = samples[0].batch_input_shape
    return [
        torch.randn(len(samples), channels, height // stride, width // stride, generator=generator)
        .to(DEVICE, dtype)
        .requires_grad_()
        for channels, stride in zip(IN_CHANNELS, STRIDES, strict=True)
    ]


class SamePoints:
    """In place of `torch.rand`: the points of all layers at once, as ours draws them, or one by one, as mmdet does."""

    def __init__(self, samples, masks):
        """`masks` [B]: of each image, objects and stuff."""
        pairs = sum(min(QUERIES, count) for count in masks)
        count = POINTS['num_points']
        self.shapes = {
            count: (LAYERS + 1, len(samples), count, 2),
            3 * count: (LAYERS + 1, pairs, 3 * count, 2),
            count // 4: (LAYERS + 1, pairs, count // 4, 2),
        }
        rng = np.random.default_rng(2)
        self.points = {
            key: torch.from_numpy(rng.random(shape, np.float32)) for key, shape in self.shapes.items()
        }
        self.restart()

    def restart(self):
        self.drawn = dict.fromkeys(self.shapes, 0)

    def __call__(self, *shape, device=None):
        shape = tuple(shape[0]) if isinstance(shape[0], (tuple, list)) else shape
        if not shape[-2]:
            return torch.zeros(shape, device=device)
        every = self.points[shape[-2]]
        if every.numel() == np.prod(shape):
            return every.reshape(shape).to(device)
        if shape[-2] == POINTS['num_points']:
            every = every.flatten(0, 1)[:, None]
        found = every[self.drawn[shape[-2]]]
        self.drawn[shape[-2]] += 1
        assert found.shape == shape
        return found.clone().to(device)


def losses_and_gradients(head, samples, features=None):
    """By name; those of maps and parameters too."""
    features = maps(samples) if features is None else features
    head.zero_grad()
    losses = head.loss(features, samples)
    sum(loss.sum() for loss in losses.values()).backward()
    gradients = {f'map {level}': feature.grad for level, feature in enumerate(features)}
    gradients |= {name: parameter.grad for name, parameter in head.named_parameters()}
    return losses, {key: torch.zeros(()) if value is None else value for key, value in gradients.items()}


def with_same_points(heads, samples, masks, monkeypatch):
    """`losses_and_gradients` of each head."""
    points, found = SamePoints(samples, masks), []
    monkeypatch.setattr(torch, 'rand', points)
    for head in heads:
        points.restart()
        found.append(losses_and_gradients(head, samples))
    return found

"""Deformable DETR and DINO, ours and mmdet's with the same weights, on maps of a pyramid."""

import copy

import torch
from torch import nn

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models import detectors as mmdet_detectors
from mmdet.registry import MODELS
from mmengine.config import ConfigDict

from swin_mmdet import detectors
from tests.detectors.cases import DEVICE
from tests.detectors.query_heads import CLASSES, COSTS, FOCAL

# mmdet's DINO knows no other number of channels
CHANNELS, LAYERS, QUERIES, STRIDES = 256, 2, 20, (8, 16, 32)
TWO_STAGES = {'with_box_refine': True, 'as_two_stage': True}
NOISE = {'label_noise_scale': 0.5, 'box_noise_scale': 1.0, 'group_cfg': {'dynamic': True, 'num_dn_queries': 12}}
NAMES = {
    'DeformableDETR': {},
    'DeformableDETR, refined': {'with_box_refine': True},
    'DeformableDETR, two stages': TWO_STAGES,
    'DINO': TWO_STAGES | {'dn_cfg': NOISE},
}


@MODELS.register_module(force=True)
class NoBackbone(nn.Module):
    """The maps are given."""


def settings(name, scope, **options):
    cls = name.split(',')[0]
    deformable = {'embed_dims': CHANNELS, 'num_levels': len(STRIDES), 'num_heads': 8, 'num_points': 2, 'dropout': 0.0}
    own = {'embed_dims': CHANNELS, 'num_heads': 8, 'dropout': 0.0}
    ffn = {'embed_dims': CHANNELS, 'feedforward_channels': 32, 'ffn_drop': 0.0}
    head = {
        'type': f'{scope}{cls.removesuffix("DETR")}{"DETR" * cls.endswith("DETR")}Head', 'num_classes': CLASSES,
        'sync_cls_avg_factor': True, 'loss_cls': FOCAL, 'loss_bbox': {'type': 'L1Loss', 'loss_weight': 5.0},
        'loss_iou': {'type': 'GIoULoss', 'loss_weight': 2.0},
    }  # fmt: skip
    return {
        'num_queries': QUERIES, 'num_feature_levels': len(STRIDES), 'backbone': {'type': 'NoBackbone'},
        'encoder': {'num_layers': LAYERS, 'layer_cfg': {'self_attn_cfg': deformable, 'ffn_cfg': ffn}},
        'decoder': {
            'num_layers': LAYERS, 'return_intermediate': True, 'post_norm_cfg': None,
            'layer_cfg': {'self_attn_cfg': own, 'cross_attn_cfg': deformable, 'ffn_cfg': ffn},
        },
        'positional_encoding': {'num_feats': CHANNELS // 2, 'normalize': True, 'offset': -0.5, 'temperature': 20},
        'bbox_head': head,
        'train_cfg': {'assigner': {'type': 'HungarianAssigner', 'match_costs': COSTS}},
        'test_cfg': {'max_per_img': 15},
    } | NAMES[name] | options  # fmt: skip


def build(name, checkpoints=0, module=detectors, scope='swin_mmdet.', **options):
    """With random weights, which are the same every time."""
    config = settings(name, scope, **options)
    config['encoder']['num_cp'] = checkpoints
    detector = getattr(module, name.split(',')[0])(**ConfigDict(copy.deepcopy(config))).to(DEVICE).train()
    generator = torch.Generator().manual_seed(0)
    for parameter in detector.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return detector


def twins(name, **options):
    """Ours and mmdet's, of the same weights."""
    ours, theirs = build(name, **options), build(name, module=mmdet_detectors, scope='', **options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def maps(samples, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    height, width = samples[0].batch_input_shape
    return [
        torch.randn(len(samples), CHANNELS, -(-height // stride), -(-width // stride), generator=generator)
        .to(DEVICE, dtype)
        .requires_grad_()
        for stride in STRIDES
    ]


def losses_and_gradients(detector, samples):
    """By name."""
    features = maps(samples)
    detector.zero_grad()
    losses = detector.bbox_head.loss(**detector.forward_transformer(features, samples), batch_data_samples=samples)
    sum(loss.sum() for loss in losses.values()).backward()
    gradients = {f'map {level}': feature.grad for level, feature in enumerate(features)}
    gradients |= {name: parameter.grad for name, parameter in detector.named_parameters()}
    return losses, {key: torch.zeros(()) if value is None else value for key, value in gradients.items()}

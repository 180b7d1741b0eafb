"""Parameters of the published checkpoints: names and shapes typed from the authors' code, which our detectors take."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmengine.config import Config
from torch import nn

from swin_mmdet.checkpoint import load_detector_weights, to_canonical
from swin_mmdet.checkpoint.convert import convert

from .heads import CONFIGS

Shapes = dict[str, tuple[int, ...]]


def conv(name: str, into: int, out: int, size: int, norm: str = 'gn') -> Shapes:
    shapes = {f'{name}.conv.weight': (out, into, size, size)}
    shapes |= {f'{name}.{norm}.weight': (out,), f'{name}.{norm}.bias': (out,)}
    if norm == 'bn':
        shapes |= {f'{name}.bn.running_mean': (out,), f'{name}.bn.running_var': (out,)}
        shapes[f'{name}.bn.num_batches_tracked'] = ()
    return shapes


def plain(name: str, into: int, out: int, size: int, bias: bool = True) -> Shapes:
    return {f'{name}.weight': (out, into, size, size)} | ({f'{name}.bias': (out,)} if bias else {})


def neck() -> Shapes:
    shapes = {}
    for index in range(2):
        name = f'neck.bi_fpn.{index}'
        if index == 0:
            for level, channels in enumerate((192, 384, 768, 768, 768)):
                shapes |= conv(f'{name}.lateral_convs.{level}', channels, 256, 1)
        for level in range(4):
            shapes[f'{name}.lateral_combine.{level}.weights'] = (1, 1, 1, 1, 2)
            shapes |= conv(f'{name}.lateral_combine_conv.{level}', 256, 256, 3)
            shapes[f'{name}.out_combine.{level}.weights'] = (1, 1, 1, 1, 2 if level == 3 else 3)
            shapes |= conv(f'{name}.out_combine_conv.{level}', 256, 256, 3)
    return shapes


def box_head() -> Shapes:
    name, shapes = 'bbox_head', {}
    for layer in range(3):
        shapes |= conv(f'{name}.cls_convs.{layer}', 256, 256, 3) | conv(f'{name}.reg_convs.{layer}', 256, 256, 3)
    shapes |= conv(f'{name}.shared_convs.0', 256, 256, 3)
    for corner in ('tl', 'br'):
        pool = f'{name}.hem_{corner}'
        shapes |= conv(f'{pool}.p1_conv1', 256, 64, 3) | conv(f'{pool}.p2_conv1', 256, 64, 3)
        shapes |= plain(f'{pool}.p_conv1', 64, 256, 3, bias=False) | plain(f'{pool}.conv1', 256, 256, 1, bias=False)
        for norm in ('p_gn1', 'gn1'):
            shapes |= {f'{pool}.{norm}.weight': (256,), f'{pool}.{norm}.bias': (256,)}
        shapes |= conv(f'{pool}.conv2', 256, 256, 1)
        shapes |= plain(f'{name}.reppoints_hem_{corner}_score_out', 256, 1, 3)
        shapes |= plain(f'{name}.reppoints_hem_{corner}_offset_out', 256, 2, 3)
    shapes |= plain(f'{name}.reppoints_cls_conv', 262, 256, 3, bias=False)
    shapes |= plain(f'{name}.reppoints_cls_out', 256, 80, 1)
    shapes |= plain(f'{name}.reppoints_pts_init_conv', 256, 256, 3)
    shapes |= plain(f'{name}.reppoints_pts_init_out', 256, 18, 1)
    shapes |= plain(f'{name}.reppoints_pts_refine_conv', 262, 256, 3, bias=False)
    shapes |= plain(f'{name}.reppoints_pts_refine_out', 256, 18, 1)
    shapes |= plain(f'{name}.reppoints_sem_out', 256, 80, 1)
    return shapes | conv(f'{name}.reppoints_sem_embedding', 256, 256, 1)


def mask_head() -> Shapes:
    name = 'bbox_head.mask_head'
    shapes = {f'{name}.head.sizes_of_interest': (5,)} | plain('bbox_head.controller', 256, 189, 3)
    for level in range(3):
        shapes |= conv(f'{name}.branch.refine.{level}', 256, 128, 3, norm='bn')
    for layer in range(4):
        shapes |= conv(f'{name}.branch.tower.{layer}', 128, 128, 3, norm='bn')
    return shapes | plain(f'{name}.branch.tower.4', 128, 8, 1)


DETECTORS = {
    'reppoints-v2_swin-t-p4-w7_bifpn_3x_coco': lambda: neck() | box_head(),
    'mask-reppoints-v2_swin-t-p4-w7_bifpn_3x_coco': lambda: neck() | box_head() | mask_head(),
}


def build(name: str, **backbone) -> nn.Module:
    cfg = Config.fromfile(CONFIGS / f'reppoints_v2/{name}.py')
    cfg.model.backbone.update(init_cfg=None, **backbone)
    return MODELS.build(cfg.model)


@pytest.mark.parametrize('name', DETECTORS)
def test_names_and_shapes_are_the_official_ones(name: str):
    with torch.device('meta'):
        model = build(name)
    ours = {key: tuple(value.shape) for key, value in model.state_dict().items() if not key.startswith('backbone.')}
    assert ours == DETECTORS[name]()


def test_an_official_checkpoint_loads():
    """As the authors' code writes it; some of its models had a norm of the first stage as well."""
    torch.manual_seed(0)
    name = 'mask-reppoints-v2_swin-t-p4-w7_bifpn_3x_coco'
    model = build(name)
    state = convert(to_canonical(model.state_dict()), 'official').state_dict
    assert 'backbone.layers.0.blocks.0.attn.qkv.weight' in state
    for key, shape in DETECTORS[name]().items():
        assert state[key].shape == shape, key
        state[key] = torch.randint(9, shape).to(state[key].dtype)
    state |= {'backbone.norm0.weight': torch.ones(96), 'backbone.norm0.bias': torch.zeros(96)}

    load_detector_weights(model, dict(meta=dict(), state_dict=state))

    loaded = model.state_dict()
    for key in DETECTORS[name]():
        assert torch.equal(loaded[key], state[key]), key

"""Whole detectors have the parameters and operations that were published for them."""

import pytest
import torch
from mmengine.config import Config
from torch.utils._python_dispatch import TorchDispatchMode

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.models.backbones import SwinTransformer as MMDetSwinTransformer

from swin_mmdet.analysis import count_macs, measure_cost
from swin_mmdet.analysis.operations import OperationCounter
from swin_mmdet.analysis.parts import PartTracker
from swin_mmdet.analysis.saved_tensors import SavedTensors
from swin_mmdet.models import SwinTransformer

# parameters in millions, GFLOPs at 1280 x 800: arXiv 2103.14030, table 2, and the README of the authors' detection code
PUBLISHED = [
    ('swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco', 'tiny', 48, 267),
    ('swin/cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco', 'base', 145, 982),
    ('mmdet::atss/atss_r50_fpn_1x_coco', None, 32, 205),
    ('mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_300-proposals_crop-ms-480-800-3x_coco', None, 106, 166),
]


def build(repository, config, arch=None):
    from mmengine.config import ConfigDict
    from mmengine.hub import get_config

    from swin_mmdet.analysis import build_without_weights

    if config.startswith('mmdet::'):
        return build_without_weights(get_config(f'{config}.py'))
    cfg = Config.fromfile(repository / 'configs' / f'{config}.py')
    cfg.model.backbone.arch = arch
    if arch == 'base':
        cfg.model.neck.merge(ConfigDict(in_channels=[128, 256, 512, 1024]))
    return build_without_weights(cfg)


@pytest.mark.parametrize(('config', 'arch', 'parameters', 'gflops'), PUBLISHED)
def test_operations_are_the_published_ones(repository, config, arch, parameters, gflops):
    model = build(repository, config, arch)
    macs, paper_macs = count_macs(model, 800, 1280)
    assert sum(x.numel() for x in model.parameters()) / 1e6 == pytest.approx(parameters, abs=0.5)
    assert sum(paper_macs.values()) / 1e9 == pytest.approx(gflops, rel=0.01)
    assert macs.keys() == paper_macs.keys()


def test_parts_add_up_and_say_what_trains(repository):
    cfg = Config.fromfile(repository / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py')
    cfg.model.backbone.frozen_stages = 2
    from swin_mmdet.analysis import build_without_weights

    model = build_without_weights(cfg)
    parts = {part.name: part for part in measure_cost(model, 96, 128)}
    assert sum(part.parameters for part in parts.values()) == sum(x.numel() for x in model.parameters())
    trained = sum(x.numel() for x in model.parameters() if x.requires_grad)
    assert sum(part.trained for part in parts.values()) == trained
    assert parts['backbone.stages.0'].trained == parts['backbone.stages.0'].saved_bytes == 0
    assert parts['backbone.stages.2'].saved_bytes > 0
    assert parts['backbone.stages.0'].macs > 0
    # 6 x 8 patches of 16 x 16 pixels are multiplied with 48 inputs for 32 channels each: 4 x 4 of them to a patch
    assert parts['backbone.patch_embed'].macs == 24 * 32 * 48 * 32


NUMBERS = {'embed_dims': 16, 'depths': (2, 2, 2, 1), 'num_heads': (1, 2, 4, 8)}


class PassThrough(TorchDispatchMode):
    """Runs what it sees."""

    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        return function(*args, **(kwargs or {}))


def run_backbone(model, watch, size=(100, 133)):
    """Counter and saved bytes of a training step's forward pass, without computing if `watch`."""
    with PartTracker({'backbone': model}) as tracker:
        counter, saved = OperationCounter(tracker), SavedTensors(tracker, model)
        model.train()
        # constants are made anew in any mode of dispatch, so the real operations run in one as well
        with saved, counter.watch(model) if watch else PassThrough():
            model(torch.zeros(2, 3, *size))
    return counter, saved.bytes


def test_the_papers_convention_is_what_mmdets_backbone_computes():
    """Its code pads tokens before the qkv layer, as the authors' does."""
    theirs, _ = run_backbone(MMDetSwinTransformer(**NUMBERS), True)
    ours, _ = run_backbone(SwinTransformer(**NUMBERS, attn_backend='reference'), True)
    assert ours.paper_macs == theirs.macs == theirs.paper_macs
    assert ours.macs['backbone'] < theirs.macs['backbone']


def test_skipped_operations_keep_what_real_ones_do():
    model = SwinTransformer(**NUMBERS, attn_backend='reference', drop_path_rate=0.0)
    (_, skipped), (_, real) = (run_backbone(model, watch) for watch in (True, False))
    assert skipped == real
    assert real['backbone'] > 0

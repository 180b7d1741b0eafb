"""Whole detectors have the parameters and operations that were published for them."""

import pytest
from mmengine.config import Config

from swin_mmdet.analysis import count_macs, measure_cost

# parameters in millions, GFLOPs at 1280 x 800: arXiv 2103.14030, table 2, and the README of the authors' detection code
PUBLISHED = [
    ('swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco', 'tiny', 48, 267),
    ('swin/cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco', 'base', 145, 982),
    ('mmdet::atss/atss_r50_fpn_1x_coco', None, 32, 205),
    ('mmdet::sparse_rcnn/sparse-rcnn_r50_fpn_300-proposals_crop-ms-480-800-3x_coco', None, 106, 166),
]


def build(repository, config, arch=None):
    from analyze_model import build_without_weights
    from mmengine.config import ConfigDict
    from mmengine.hub import get_config

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
    from analyze_model import build_without_weights

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

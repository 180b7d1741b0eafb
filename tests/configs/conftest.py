"""Configs of this project, made small enough for a CPU."""

import sys
from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config
from mmengine.runner import Runner

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tools'))

CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*/*.py') if path.parent.name != '_base_')


@pytest.fixture(scope='session')
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny COCO-format data set."""
    from make_shapes_dataset import main

    folder = tmp_path_factory.mktemp('data') / 'shapes'
    main([str(folder), '--train', '6', '--val', '2', '--size', '96'])
    return folder


@pytest.fixture(scope='module', params=CONFIGS, ids=lambda path: path.stem)
def small_runner(request: pytest.FixtureRequest, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A runner of a config as train.py builds it: shapes as data, small images, no download, no randomly idle block."""
    from data_folder import use_folder
    from launch import fit_to_device, nodes

    cfg = Config.fromfile(request.param)
    cfg.merge_from_dict(dict(work_dir=str(tmp_path_factory.mktemp('work')), launcher='none', log_level='ERROR'))
    cfg.model.backbone.merge(dict(init_cfg=None, drop_path_rate=0.0, use_abs_pos_embed=True, pretrain_img_size=64))
    use_folder(cfg, str(shapes))
    for transform in nodes(cfg.train_dataloader.dataset.pipeline):
        if 'scales' in transform:
            transform.scales = [(short // 8, long // 8) for short, long in transform.scales]
        if 'scale' in transform:
            transform.scale = (96, 96)
        if 'crop_size' in transform:
            transform.crop_size = tuple(side // 8 for side in transform.crop_size)
    for node in nodes(cfg.train_dataloader.dataset):
        if 'filter_cfg' in node:
            node.filter_cfg = dict(filter_empty_gt=True, min_size=8)
    cfg.model.train_cfg.rpn_proposal.merge(dict(nms_pre=100, max_per_img=50))
    cfg.train_dataloader.merge(dict(batch_size=2, num_workers=0, persistent_workers=False))
    fit_to_device(cfg)
    return Runner.from_cfg(cfg)

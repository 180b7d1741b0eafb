"""The everyday options of train.py on every config: lengths in both units, and sizes that come out of the pipelines."""

import copy
import random
from pathlib import Path

import cv2
import numpy as np
import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmcv.transforms import Compose
from mmdet.utils import register_all_modules
from mmengine.config import Config

from swin_mmdet.commands.everyday import read_everyday
from swin_mmdet.commands.train import parse_args
from swin_mmdet.config import nodes, type_name
from swin_mmdet.datasets.image_scale import scale_of_test
from swin_mmdet.engine import run_length as lengths
from swin_mmdet.engine.everyday import apply_everyday, apply_length
from swin_mmdet.engine.schedule_problems import schedule_problems
from swin_mmdet.engine.schedules import schedulers
from swin_mmdet.engine.warm_up import bound_warm_up

from .conftest import CONFIGS, read_config

EPOCH = 450  # iterations
HEIGHT, WIDTH = 480, 640


# settings -> the config that had them first
FIRST: dict[str, Path] = {}


@pytest.fixture(params=CONFIGS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def path(request: pytest.FixtureRequest) -> Path:
    """Each config, of those with equal schedules, data and hooks the first."""
    cfg = read_config(request.param)
    names = ('train_cfg', 'param_scheduler', 'custom_hooks', 'default_hooks', 'train_dataloader', 'test_dataloader')
    key = str([*(cfg.get(name) for name in names), cfg.model.get('data_preprocessor'), cfg.optim_wrapper])
    first = FIRST.setdefault(key, request.param)
    if first != request.param:
        pytest.skip(f'its settings are those of {first.stem}')
    return request.param


def with_options(path: Path, *options: str) -> Config:
    args = parse_args([str(path), *options])
    everyday = read_everyday(args)
    cfg = copy.deepcopy(read_config(path))
    cfg.launcher = 'none'
    apply_everyday(cfg, everyday, args.cfg_options)
    apply_length(cfg, everyday, args.cfg_options)
    return cfg


@pytest.fixture(autouse=True)
def epochs_of_90_iterations(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('swin_mmdet.engine.everyday.epoch_length', lambda *_: EPOCH)


def last_drop(cfg: Config) -> float:
    """Where in the run, from 0 to 1, the rate falls for the last time; a whole number of epochs is wanted."""
    length = lengths.run_length(cfg)
    ends = []
    for _, one in schedulers(cfg.param_scheduler):
        unit = EPOCH if one.get('by_epoch', True) and not length.by_epoch else 1
        if one.get('by_epoch', True) == length.by_epoch or unit != 1:
            ends += [step * unit / length.count for step in one.get('milestones', ())]
    return max(ends, default=1.0)


@pytest.mark.parametrize(('option', 'count'), [('--epochs', 24), ('--iters', 9000)])
def test_the_schedule_of_every_config_follows_its_length(path: Path, option: str, count: int):
    recipe = read_config(path)
    cfg = with_options(path, option, str(count))
    length, before = lengths.run_length(cfg), lengths.run_length(recipe)
    iterations = length.count * (EPOCH if length.by_epoch else 1)
    # RTMDet's second pipeline needs epochs
    assert length.by_epoch == (before.by_epoch and (option == '--epochs' or path.parent.name == 'rtmdet'))
    assert iterations == (24 * EPOCH if option == '--epochs' else 9000)
    assert not schedule_problems(cfg.param_scheduler, EPOCH, iterations, length.by_epoch)
    assert last_drop(cfg) == pytest.approx(last_drop(recipe), abs=0.5 / min(length.count, before.count) + 1e-4)
    for node in [cfg.train_cfg, *nodes([cfg.default_hooks, cfg.get('custom_hooks')])]:
        if type_name(node) not in ('LoggerHook', 'CheckInvalidLossHook'):
            for name in ('interval', 'val_interval', 'val_begin', 'save_begin', 'switch_epoch'):
                assert (node.get(name) or 0) <= length.count, (type_name(node), name)


def test_every_recipe_fits_its_own_length(path: Path):
    """On COCO nothing is warned of, and no warm-up is shortened."""
    cfg = copy.deepcopy(read_config(path))
    length = lengths.run_length(cfg)
    epoch = 117266 // cfg.auto_scale_lr.base_batch_size
    run = epoch, length.count * (epoch if length.by_epoch else 1), length.by_epoch
    assert schedule_problems(cfg.param_scheduler, *run) == lengths.interval_problems(cfg) == []
    assert bound_warm_up(cfg.param_scheduler, *run) == []


def test_batch_rate_workers_and_seed_of_every_config(path: Path):
    cfg = with_options(path, '--batch-size', '4', '--lr', '0.002', '--workers', '0', '--seed', '7')
    recipe = read_config(path)
    assert (cfg.train_dataloader.batch_size, cfg.randomness.seed) == (4, 7)
    assert [cfg[f'{split}_dataloader'].num_workers for split in ('train', 'val', 'test')] == [0, 0, 0]
    assert not cfg.train_dataloader.persistent_workers
    assert cfg.optim_wrapper.optimizer.lr == 0.002
    # nothing scales a rate that was asked for
    assert not cfg.auto_scale_lr.get('enable')
    assert cfg.optim_wrapper.get('paramwise_cfg') == recipe.optim_wrapper.get('paramwise_cfg')
    for (_, new), (_, old) in zip(schedulers(cfg.param_scheduler), schedulers(recipe.param_scheduler), strict=True):
        if 'eta_min' in old:
            assert new['eta_min'] / 0.002 == pytest.approx(old['eta_min'] / recipe.optim_wrapper.optimizer.lr)


def test_the_learning_rate_follows_the_batch(path: Path):
    """Where the config says of which batch it is."""
    cfg = with_options(path, '--batch-size', '1')
    assert cfg.auto_scale_lr.enable
    assert cfg.auto_scale_lr.base_batch_size == read_config(path).auto_scale_lr.base_batch_size


@pytest.fixture(scope='module')
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    register_all_modules()
    path = tmp_path_factory.mktemp('image') / 'noise.png'
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))
    return str(path)


def images_of(pipeline: list, image: str, seed: int = 0) -> list[tuple[int, int]]:
    """Height and width of what a pipeline makes of the image, of each view in test-time augmentation."""
    random.seed(seed)
    np.random.seed(seed)
    left_out = ('Annotations', 'PackDetInputs', 'InstaBoost', 'Mosaic', 'MixUp')

    def kept(steps):
        steps = [copy.deepcopy(step) for step in steps if not type_name(step).endswith(left_out)]
        for step in steps:
            if 'transforms' in step:
                step['transforms'] = [found for branch in step['transforms'] if (found := kept(branch))]
        return steps

    result = Compose(kept(pipeline))(dict(img_path=image, img_id=0))
    found = result if isinstance(result, list) else [result]
    shapes = [one['img'] if isinstance(one, dict) else one for one in found]
    if isinstance(result, dict) and isinstance(result['img'], list):
        shapes = result['img']
    return [one.shape[:2] for one in shapes]


def pipeline_of(loader: Config) -> list:
    """The one that resizes: of the innermost data set."""
    return next(node['pipeline'] for node in reversed(list(nodes(loader.dataset))) if node.get('pipeline'))


def test_images_of_every_config_have_the_size_that_was_asked_for(path: Path, image: str):
    """Test images as by hand; those of each view and of training half of the recipe's, drawn with the same seed."""
    recipe = read_config(path)
    short, long = sorted(scale_of_test(recipe))
    cfg = with_options(path, '--img-scale', str(short // 2))
    for split in ('val', 'test'):
        (shape,) = images_of(pipeline_of(cfg[f'{split}_dataloader']), image)
        factor = min(short / 2 / HEIGHT, long / 2 / WIDTH)
        padded = any(type_name(step) == 'Pad' for step in pipeline_of(cfg.test_dataloader))
        expected = (short / 2, long / 2) if padded else (HEIGHT * factor, WIDTH * factor)
        assert shape == pytest.approx(expected, abs=1)
    if 'tta_pipeline' in cfg:
        views = zip(images_of(cfg.tta_pipeline, image), images_of(recipe.tta_pipeline, image), strict=True)
        for half, whole in views:
            assert half == pytest.approx([side / 2 for side in whole], abs=1)
    stages = [pipeline_of(cfg.train_dataloader)], [pipeline_of(recipe.train_dataloader)]
    for found, one in zip(stages, (cfg, recipe), strict=True):
        found += [hook.switch_pipeline for hook in one.get('custom_hooks', []) if 'switch_pipeline' in hook]
    for half, whole in zip(*stages, strict=True):
        cropped = [node['crop_size'] for node in nodes(half) if node.get('crop_type') == 'absolute_range']
        assert cropped in ([], [(192, 300)])
        ranges = [node['scale'] for node in nodes(whole) if isinstance(node.get('scale'), list)]
        for seed in range(4):
            (small,), (large,) = images_of(half, image, seed), images_of(whole, image, seed)
            if cropped or ranges:
                # drawn from other numbers: shapes of these crops, sizes of these ranges
                largest = sorted(ranges[0][1]) if ranges else (short, long)
                assert all(side <= most / 2 + 1 for side, most in zip(sorted(small), largest, strict=True))
            else:
                assert small == pytest.approx([side / 2 for side in large], abs=2), seed

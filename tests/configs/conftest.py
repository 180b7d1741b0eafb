"""Configs of this project, made small enough for a CPU."""

import copy
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import distributions
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.device import get_device
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner import Runner, set_random_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader

from swin_mmdet.backbone_channels import fill_in
from swin_mmdet.config import nodes
from swin_mmdet.datasets.data_folder import use_folder
from swin_mmdet.engine.device import adapt_to_device
from swin_mmdet.ops.normalize_images import normalize_images
from tests.bert import write_bert

from .small import shrink

ROOT = Path(__file__).resolve().parents[2]

load_once = lru_cache(config_utils.load)

CONFIGS = sorted(path for path in (ROOT / 'configs').glob('*/*.py') if path.parent.name != '_base_')


WITH_ONEDL = any(package.metadata['Name'] == 'onedl-mmdetection' for package in distributions())
ONEDL_GROUNDING = "onedl-mmdetection's Grounding DINO cannot run: its decoder makes 4 x 256 numbers for a layer of 512"
# settings -> the config that had them first
FIRST: dict[str, str] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of recipes that differ by their backbone alone, the others than the smallest take a step only if asked for."""
    smallest: dict[str, Path] = {}
    for path in sorted(CONFIGS, key=lambda path: 'tsbl'.find(_size(path).partition('-')[2][:1])):
        smallest.setdefault(str(path).replace(_size(path), ''), path)
    kept = set(smallest.values())
    for item in items:
        path = getattr(item, 'callspec', None) and item.callspec.params.get('small')
        if path and path not in kept and item.originalname.startswith('test_one_training_step'):
            item.add_marker(pytest.mark.long)


def _size(path: Path) -> str:
    """In the name of a config, its backbone: 'swin-t-p4-w7'."""
    found = re.search(r'swin(v2)?-[tsbl]-p4-w[0-9to]+(-in22k)?(?=_)', path.stem)
    return found[0] if found else ''


@pytest.fixture(scope='session')
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny COCO-format data set, with a map of stuff beside each image."""
    from swin_mmdet.commands.make_shapes_dataset import main

    folder = tmp_path_factory.mktemp('data') / 'shapes'
    main([str(folder), '--train', '6', '--val', '1', '--size', '96'])
    for image in folder.glob('*/*.jpg'):
        cv2.imwrite(str(image.with_suffix('.png')), np.arange(96 * 96, dtype=np.uint8).reshape(96, 96) % 90)
    return folder


@lru_cache
def read_config(path: Path) -> Config:
    """A config, read once for all tests: whoever changes it makes a copy.

    For each base `mmdet::...` mmengine reads all of mmdet's metafiles; here it does that once.
    """
    with mock.patch('mmengine.config.utils.load', load_once):
        return Config.fromfile(path)


def with_channels(cfg: Config) -> Config:
    """A copy that has the numbers which the detector of a config gets when it is built."""
    filled = copy.deepcopy(cfg)
    filled.model = fill_in(cfg.model)
    return filled


@dataclass(frozen=True)
class Small:
    """A config that was shrunk, and the detector of it."""

    name: str
    cfg: Config
    model: nn.Module

    def optim_wrapper(self) -> OptimWrapper:
        cfg = copy.deepcopy(self.cfg.optim_wrapper)
        if cfg.type == 'AmpOptimWrapper':  # on a GPU
            # the dynamic scale starts so high that the first steps overflow and are left out
            cfg.loss_scale = 1.0
        return build_optim_wrapper(self.model, cfg)

    def dataloader(self, split: str) -> DataLoader:
        return Runner.build_dataloader(self.cfg[f'{split}_dataloader'], seed=0)


@pytest.fixture
def runnable(small: Small, monkeypatch: pytest.MonkeyPatch) -> Small:
    """One whose data can be read, and of those that are equal once they are small the first.

    Its images, and so its maps, lie in memory as they do on a GPU in mixed precision.
    """

    def channels_last(*args) -> Tensor:
        return normalize_images(*args).contiguous(memory_format=torch.channels_last)

    monkeypatch.setattr('swin_mmdet.detectors.data_preprocessor.normalize_images', channels_last)
    if any(step.get('type') == 'LoadPanopticAnnotations' for step in nodes(small.cfg.train_dataloader)):
        pytest.skip('reading panoptic annotations needs panopticapi, which is not on PyPI')
    if 'language_model' in small.cfg.model and WITH_ONEDL:
        pytest.skip(ONEDL_GROUNDING)
    parts = (small.cfg.model, small.cfg.train_dataloader, small.cfg.val_dataloader, small.cfg.optim_wrapper)
    first = FIRST.setdefault(str(parts), small.name)
    if first != small.name:
        pytest.skip(f'once small, it is {first}')
    return small


@pytest.fixture(scope='module', params=CONFIGS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def small(request: pytest.FixtureRequest, shapes: Path) -> Small:
    """Each config, small."""
    return build_small(request.param, shapes)


def build_small(path: Path, data: Path) -> Small:
    """A config as train.py prepares it for other data, shrunk."""
    register_all_modules()
    cfg = copy.deepcopy(read_config(path))
    of_stuff = [node for node in nodes(cfg.train_dataloader) if 'seg' in node.get('data_prefix', {})]
    use_folder(cfg, str(data))
    for node in of_stuff:
        node.data_prefix.seg = node.data_prefix.img
    if 'language_model' in cfg.model:
        words = ['circle', 'square', 'triangle']
        cfg.model.language_model.name = str(write_bert(data / 'bert', words, num_hidden_layers=1))
    cfg.launcher = 'none'
    shrink(cfg)
    adapt_to_device(cfg, get_device())
    set_random_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    for module in model.modules():
        # a residual branch that starts as zero, as SwinV2's, has no gradient
        if isinstance(module, nn.LayerNorm) and not module.weight.any():
            nn.init.ones_(module.weight)
    return Small(f'{path.parent.name}/{path.stem}', cfg, model.to(get_device()))

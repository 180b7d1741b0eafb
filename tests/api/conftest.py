"""A small detector of ours with weights of no training, in a folder as a training leaves it, and its data."""

from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

from swin_mmdet.api.detector import Detector

CLASSES = ('circle', 'square', 'triangle')
CONFIG = """
_base_ = {base!r}

model = dict(
    backbone=dict(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8)),
    neck=dict(in_channels=[16, 32, 64, 128]),
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_img=5)),
)
test_dataloader = dict(num_workers=0, persistent_workers=False)
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
"""


@pytest.fixture(scope='session')
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny COCO-format data set."""
    from swin_mmdet.commands.make_shapes_dataset import main

    folder = tmp_path_factory.mktemp('data') / 'shapes'
    main([str(folder), '--train', '1', '--val', '3', '--size', '96'])
    return folder


@pytest.fixture(scope='session')
def work_dir(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """tiny.py and epoch_2.pth, whose scores and boxes differ."""
    folder = tmp_path_factory.mktemp('work')
    config = folder / 'tiny.py'
    config.write_text(CONFIG.format(base=str(repository / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py')))
    register_all_modules()
    model = MODELS.build(Config.fromfile(config).model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
            if name.endswith('fc_cls.weight'):
                parameter.mul_(5)
    save(model, folder / 'epoch_2.pth')
    return folder


def save(model: torch.nn.Module, path: Path) -> None:
    meta = {'dataset_meta': {'classes': CLASSES}, 'iter': 2}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, path)


@pytest.fixture(scope='session')
def detector(work_dir: Path) -> Detector:
    return Detector(work_dir, device='cpu', score_thr=0)

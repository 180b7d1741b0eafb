"""Python-style configs, whose `type` is a class: what our tools change and check works on them as on names."""

from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config
from mmengine.utils import get_object_from_string

from swin_mmdet.config import kind_name, nodes, packages, type_name
from swin_mmdet.config.check import find_mistakes
from swin_mmdet.config.files import read_config
from swin_mmdet.datasets.data_folder import use_folder
from swin_mmdet.detectors.views import use_tta
from swin_mmdet.engine.accumulation import accumulate
from swin_mmdet.engine.device import adapt_to_device
from swin_mmdet.engine.pretrained import pretrained
from swin_mmdet.engine.training_options import average_weights, use_amp
from swin_mmdet.errors import UserError

BASE = """
from mmengine.hooks import EMAHook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import IterBasedTrainLoop, LogProcessor
from torch.optim import AdamW

default_scope = None
train_cfg = dict(type=IterBasedTrainLoop, max_iters=100)
optim_wrapper = dict(type=AmpOptimWrapper, optimizer=dict(type=AdamW, lr=1e-4))
custom_hooks = [dict(type=EMAHook)]
log_processor = dict(type=LogProcessor, by_epoch=False)
"""
CONFIG = """
from mmcv.ops import nms
from mmcv.transforms import LoadImageFromFile
from mmengine.config import read_base
from mmengine.model import PretrainedInit
from torch.nn import SyncBatchNorm

from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import InstaBoost, LoadAnnotations, PackDetInputs, RandomFlip, Resize
from mmdet.evaluation.metrics import CocoMetric
from mmdet.models.backbones import SwinTransformer
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.models.dense_heads import RetinaHead
from mmdet.models.detectors import RetinaNet
from mmdet.models.losses.smooth_l1_loss import L1Loss
from mmdet.models.necks import FPN

with read_base():
    from .base import *

model = dict(
    type=RetinaNet,
    data_preprocessor=dict(type=DetDataPreprocessor, pad_size_divisor=32),
    backbone=dict(
        type=SwinTransformer, embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8), patch_norm=True,
        init_cfg=dict(type=PretrainedInit, checkpoint='gone.pth')),
    neck=dict(
        type=FPN, in_channels=[16, 32, 64, 128], out_channels=16, num_outs=5, norm_cfg=dict(type=SyncBatchNorm)),
    bbox_head=dict(type=RetinaHead, num_classes=80, in_channels=16, loss_bbox=dict(type=L1Loss)),
    test_cfg=dict(nms_pre=100, score_thr=0.05, nms=dict(type=nms, iou_threshold=0.5), max_per_img=20))
pipeline = [
    dict(type=LoadImageFromFile),
    dict(type=Resize, scale=(96, 96)),
    dict(type=LoadAnnotations, with_bbox=True),
    dict(type=PackDetInputs)]
train_dataloader = dict(
    batch_size=1, num_workers=0,
    dataset=dict(type=CocoDataset, data_root='data/coco/', ann_file='a.json', pipeline=pipeline))
test_dataloader = train_dataloader
test_evaluator = dict(type=CocoMetric, ann_file='data/coco/a.json')
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / 'base.py').write_text(BASE)
    (tmp_path / 'lazy.py').write_text(CONFIG)
    return tmp_path / 'lazy.py'


@pytest.fixture
def cfg(path: Path) -> Config:
    cfg = read_config(str(path))
    assert isinstance(cfg.model.type, type)
    cfg.launcher = 'none'
    return cfg


def test_nothing_is_complained_of_and_slips_are_found(cfg: Config):
    assert list(find_mistakes(cfg)) == []
    cfg.model.backbone.drop_path, cfg.test_dataloader.dataset.pipeline[1].scal = 0.1, 1
    assert list(find_mistakes(cfg)) == [
        'model.backbone.drop_path: SwinTransformer has no argument drop_path; did you mean drop_path_rate?',
        'test_dataloader.dataset.pipeline.1.scal: Resize has no argument scal; did you mean scale?',
    ]
    assert [(one.source, one.version) for one in pretrained(cfg)] == [('gone.pth', 1)]


def test_a_dumped_config_means_the_same(cfg: Config, tmp_path: Path):
    cfg.dump(tmp_path / 'dumped.py')
    again = read_config(str(tmp_path / 'dumped.py'))
    assert again.model.bbox_head.loss_bbox.type == 'mmdet.models.losses.smooth_l1_loss.L1Loss'
    assert list(find_mistakes(again)) == []
    assert sorted(map(type_name, nodes(again))) == sorted(map(type_name, nodes(cfg)))
    kind = again.model.bbox_head.loss_bbox.type
    assert get_object_from_string(kind) is cfg.model.bbox_head.loss_bbox.type
    assert again.model.test_cfg.nms.type == cfg.model.test_cfg.nms.type == 'nms'  # what mmdet's heads look up


def test_what_the_machine_cannot_do_is_taken_out(cfg: Config):
    adapt_to_device(cfg, 'cpu')
    assert cfg.model.neck.norm_cfg.type == 'BN'
    assert kind_name(cfg.optim_wrapper.type) == 'OptimWrapper'


def test_options_of_training(cfg: Config):
    use_amp(cfg, 'bf16')
    assert (type_name(cfg.optim_wrapper), cfg.optim_wrapper.dtype) == ('AmpOptimWrapper', 'bfloat16')
    with pytest.raises(UserError, match='has an EMAHook already'):
        average_weights(cfg, 0.1)
    accumulate(cfg, '2')
    assert cfg.custom_hooks[0].type == 'swin_mmdet.EMAHook'
    assert cfg.train_cfg.max_iters == 200


def test_test_time_augmentation(cfg: Config):
    use_tta(cfg)
    first, views = cfg.test_dataloader.dataset.pipeline
    assert type_name(first) == 'LoadImageFromFile'
    assert [[type_name(step) for step in steps] for steps in views.transforms] == [
        ['Resize'] * 3, ['RandomFlip'] * 2, ['LoadAnnotations'], ['PackDetInputs'],
    ]  # fmt: skip


def test_data_of_another_folder_and_missing_packages(cfg: Config, shapes: Path, monkeypatch: pytest.MonkeyPatch):
    use_folder(cfg, str(shapes))
    assert cfg.model.bbox_head.num_classes == 3
    assert cfg.test_evaluator.ann_file == str(shapes / 'annotations/instances_val2017.json')
    cfg.train_dataloader.dataset.pipeline.append(dict(type=cfg.InstaBoost))
    monkeypatch.setattr(packages, 'find_spec', dict().get)
    with pytest.raises(UserError, match='InstaBoost of this config needs the package'):
        packages.check_packages(cfg)

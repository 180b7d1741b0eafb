"""Steps that are tried: of the model itself, on the images that take most."""

from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config
from mmengine.registry import init_default_scope

from swin_mmdet.config import read_config
from swin_mmdet.datasets import use_folder
from swin_mmdet.fitting.statistics import statistics
from swin_mmdet.fitting.trial import Trial, make_trial, worst_samples

from .conftest import IMAGES


@pytest.fixture
def cfg(shaped: Path, repository: Path) -> Config:
    """The micro Mask R-CNN, smaller, with random sizes of images."""
    cfg = read_config(str(repository / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py'))
    use_folder(cfg, str(shaped))
    cfg.merge_from_dict({
        'model.backbone.embed_dims': 16, 'model.backbone.num_heads': [1, 2, 4, 8],
        'model.neck.in_channels': [16, 32, 64, 128],
    })  # fmt: skip
    cfg.train_dataloader.dataset.pipeline[2] = dict(
        type='RandomChoiceResize', scales=[(32, 32), (64, 64), (48, 48)], keep_ratio=True
    )
    cfg.train_dataloader.dataset.filter_cfg = dict(min_size=16)
    init_default_scope('mmdet')
    return cfg


def test_statistics_are_those_of_the_annotations(cfg: Config):
    data = statistics(cfg)
    assert data.images == 3
    assert data.image_sizes.tolist() == [list(map(float, image[:2])) for image in IMAGES]
    # without the crowd
    assert data.objects.tolist() == [image[2] for image in IMAGES]
    assert set(data.sides) == {16.0}


def test_images_are_the_worst_at_the_largest_size(cfg: Config):
    cfg.train_dataloader.batch_sampler = None
    samples = worst_samples(cfg, statistics(cfg))
    most = samples[0]
    assert len(most['data_samples'].gt_instances) == 5
    sizes = [tuple(sample['inputs'].shape[-2:]) for sample in samples]
    assert sizes[0] == (64, 64)
    assert set(sizes) == {(64, 64), (32, 64), (64, 32)}


def test_images_of_one_shape_where_a_sampler_joins_those(cfg: Config):
    assert cfg.train_dataloader.batch_sampler.type == 'AspectRatioBatchSampler'
    shapes = [sample['inputs'].shape[-2:] for sample in worst_samples(cfg, statistics(cfg))]
    assert all(height >= width for height, width in shapes) or all(width > height for height, width in shapes)


def test_real_steps_are_made(cfg: Config, monkeypatch: pytest.MonkeyPatch):
    data, before = statistics(cfg), cfg.to_dict()
    trial = Trial(cfg, data, 'cpu')
    batches = []

    def batch(images: int, whole=trial._batch) -> dict:
        batches.append(whole(images))
        return batches[-1]

    monkeypatch.setattr(trial, '_batch', batch)
    assert trial(2)
    assert [len(one['inputs']) for one in batches] == [2, 2, 2]
    assert cfg.to_dict() == before
    assert make_trial(cfg, data, 'cpu') is None

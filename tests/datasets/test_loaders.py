"""Batch, workers and the length of an epoch, as PyTorch's loader has them."""

import json
from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.runner import Runner

from swin_mmdet.datasets.loaders import epoch_length, set_batch_size, set_workers
from swin_mmdet.errors import UserError


@pytest.fixture
def dataset(tmp_path: Path) -> dict:
    """11 images with an object and one without, which the filter leaves out."""
    images = [dict(id=index, file_name=f'{index}.jpg', height=80, width=60 + 40 * (index % 2)) for index in range(12)]
    objects = [
        dict(id=index + 1, image_id=index, category_id=1, bbox=[1, 1, 40, 40], area=1600, iscrowd=0)
        for index in range(11)
    ]
    content = dict(images=images, annotations=objects, categories=[dict(id=1, name='thing')])
    path = tmp_path / 'train.json'
    path.write_text(json.dumps(content))
    return dict(
        type='CocoDataset',
        ann_file=str(path),
        data_prefix=dict(img=''),
        metainfo=dict(classes=('thing',)),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=[dict(type='LoadImageFromFile')],
    )


@pytest.mark.parametrize('batch_sampler', [None, dict(type='AspectRatioBatchSampler')])
@pytest.mark.parametrize('drop_last', [False, True])
def test_an_epoch_is_as_long_as_the_loader(dataset: dict, batch_sampler: dict | None, drop_last: bool):
    register_all_modules()
    where = dict(batch_sampler, drop_last=drop_last) if batch_sampler else None
    wrapped = dict(type='RepeatDataset', times=2, dataset=dataset)
    cfg = Config(dict(train_dataloader=dict(
        batch_size=3, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=wrapped,
        batch_sampler=where, **({} if batch_sampler else dict(drop_last=drop_last)),
    )))  # fmt: skip
    assert epoch_length(cfg, 1) == len(Runner.build_dataloader(cfg.train_dataloader)) == (7 if drop_last else 8)
    # each of two processes has half of the images
    assert epoch_length(cfg, 2) == (3 if drop_last else 4)


def test_an_endless_sampler_has_epochs_too(dataset: dict):
    cfg = Config(dict(train_dataloader=dict(batch_size=4, sampler=dict(type='InfiniteSampler'), dataset=dataset)))
    assert epoch_length(cfg, 1) == 3


def test_no_images_left_by_the_filters(dataset: dict):
    dataset['filter_cfg'] = dict(filter_empty_gt=True, min_size=10**6)
    with pytest.raises(UserError, match=r'no image of train_dataloader\.dataset is left'):
        epoch_length(Config(dict(train_dataloader=dict(batch_size=4, dataset=dataset))), 1)


def test_a_sampler_with_a_batch_of_its_own_follows():
    sampler = dict(type='MultiSourceSampler', batch_size=5, source_ratio=[1, 4])
    cfg = Config(dict(train_dataloader=dict(batch_size=5, sampler=sampler)))
    assert len(set_batch_size(cfg, 10)) == 2
    assert (cfg.train_dataloader.batch_size, cfg.train_dataloader.sampler.batch_size) == (10, 10)


def test_a_sampler_of_several_batches_is_named():
    sampler = dict(type='MultiDataAspectRatioBatchSampler', batch_size=[4, 8])
    cfg = Config(dict(train_dataloader=dict(batch_size=4, batch_sampler=sampler)))
    with pytest.raises(
        UserError, match=r'--batch-size 2: MultiDataAspectRatioBatchSampler .*batch_sampler\.batch_size'
    ):
        set_batch_size(cfg, 2)


def test_a_config_that_does_not_train():
    with pytest.raises(UserError, match='--batch-size 2: the config has no train_dataloader'):
        set_batch_size(Config(dict(train_dataloader=None)), 2)


def test_no_workers_are_loaders_that_pytorch_takes(dataset: dict):
    loader = dict(
        batch_size=2, num_workers=2, persistent_workers=True, prefetch_factor=4, timeout=5, dataset=dataset,
        sampler=dict(type='DefaultSampler', shuffle=False),
    )  # fmt: skip
    cfg = Config(dict(train_dataloader=loader, val_dataloader=loader))
    set_workers(cfg, 0)
    for name in ('train_dataloader', 'val_dataloader'):
        assert Runner.build_dataloader(cfg[name]).num_workers == 0
    set_workers(cfg, 3)
    assert Runner.build_dataloader(cfg.train_dataloader).num_workers == 3

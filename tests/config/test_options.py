"""`KEY=VALUE` through dicts and lists."""

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.config.options import merge_options
from swin_mmdet.errors import UserError


@pytest.fixture
def cfg() -> Config:
    steps = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(10, 20)), dict(type='mmdet.PackDetInputs')]
    loader = dict(batch_size=1, dataset=dict(pipeline=steps))
    return Config(dict(train_dataloader=loader, load_from=None, train_cfg=dict(max_iters=3), scales=[1, 2],
                       optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=1))))  # fmt: skip


PIPELINE = 'train_dataloader.dataset.pipeline'


def test_entries_of_lists_and_tuples_are_set_by_number(cfg: Config):
    merge_options(cfg, {f'{PIPELINE}.1.scale': (5, 6), f'{PIPELINE}.1.scale.0': 7, f'{PIPELINE}.-1.meta_keys': ['id'],
                        f'{PIPELINE}.0': None, 'train_dataloader.dataset.pipeline.1.keep_ratio': True})  # fmt: skip
    assert cfg.train_dataloader.dataset.pipeline == [
        None, dict(type='Resize', scale=(7, 6), keep_ratio=True), dict(type='mmdet.PackDetInputs', meta_keys=['id']),
    ]  # fmt: skip
    assert cfg.train_dataloader.dataset.pipeline[1].scale == (7, 6)  # still attributes, and a tuple


def test_parts_that_two_keys_share_are_set_apart(cfg: Config):
    cfg.val_dataloader = cfg.train_dataloader
    merge_options(cfg, {'val_dataloader.batch_size': 8, f'{PIPELINE}.1.scale': 3})
    assert (cfg.train_dataloader.batch_size, cfg.val_dataloader.batch_size) == (1, 8)
    assert cfg.val_dataloader.dataset.pipeline[1].scale == (10, 20)


def test_a_dict_can_be_emptied_first(cfg: Config):
    merge_options(cfg, {'optim_wrapper.optimizer.type': 'Adam', 'optim_wrapper.optimizer._delete_': True})
    assert cfg.optim_wrapper.optimizer == dict(type='Adam')


@pytest.mark.parametrize('index', ['3', '-4', '22', 'Resize', 'x'])
def test_a_wrong_entry_is_refused_with_those_there_are(cfg: Config, index: str):
    with pytest.raises(UserError) as error:
        merge_options(cfg, {f'{PIPELINE}.{index}.scale': 3})
    assert str(error.value) == (
        f'{PIPELINE}.{index}.scale: {PIPELINE} is a list, whose entries are counted from 0: 0 LoadImageFromFile, '
        '1 Resize, 2 PackDetInputs'
    )


def test_nothing_is_set_inside_a_number_or_by_number_in_a_dict(cfg: Config):
    with pytest.raises(UserError, match=r'train_cfg\.max_iters is 3, so nothing can be set inside it'):
        merge_options(cfg, {'train_cfg.max_iters.x': 1})
    with pytest.raises(UserError, match='train_cfg is no list but a dict of max_iters'):
        merge_options(cfg, {'train_cfg.0': 1})


def test_what_changes_nothing_is_said(cfg: Config):
    (unknown, variable) = merge_options(cfg, {'lr': 1, 'scales': 3})
    assert unknown == 'lr: nothing reads this key; did you mean optim_wrapper.optimizer.lr?'
    assert variable.startswith('scales changes a variable of the config file, which was read before')
    assert merge_options(cfg, {'load_from': 'x.pth', 'optim_wrapper.optimizer.lr': 2}) == []


def test_each_of_several_slips_is_named_and_the_rest_is_set(cfg: Config):
    options = {'optim_wraper.type': 1, 'train_cfg.max_iters': 5, 'scales.7': 1, 'train_cfg.max_iters.x': 2}
    with pytest.raises(UserError) as error:
        merge_options(cfg, options)
    first, second, third = str(error.value).splitlines()
    assert first == 'optim_wraper.type: the config has no optim_wraper; did you mean optim_wrapper?'
    assert second == 'scales.7: scales is a list, whose entries are counted from 0: 0 1, 1 2'
    assert third == 'train_cfg.max_iters.x: train_cfg.max_iters is 5, so nothing can be set inside it'
    assert (cfg.train_cfg.max_iters, cfg.scales) == (5, [1, 2])

"""Semantic maps of a model that trains on them: all there, missing, or not loaded."""

import pytest
from PIL import Image

from tests.datasets.test_check import only, texts


@pytest.fixture
def with_maps(config, tmp_path):
    """A model with HTC's semantic branch, and maps for the images 1 and 2, of 3."""
    cfg = config()
    cfg.model.roi_head.semantic_head = {'type': 'FusedSemanticHead', 'num_classes': 183}
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [*dataset.pipeline[:-1], {**dataset.pipeline[-1], 'with_seg': True}]
    dataset.data_prefix.seg = 'maps/'
    (tmp_path / 'maps').mkdir()
    for number in (1, 2):
        Image.new('L', (100, 100)).save(tmp_path / f'maps/{number}.png')
    return cfg


def test_semantic_maps_that_are_all_there(with_maps, tmp_path):
    Image.new('L', (100, 100)).save(tmp_path / 'maps/3.png')
    assert texts(with_maps) == []


def test_semantic_maps_that_are_missing(with_maps, tmp_path):
    text = only(with_maps)
    assert text.startswith('train_dataloader.dataset: ')
    assert f'1 of 3 semantic maps are not in {tmp_path / "maps"}: 3.png' in text


def test_semantic_maps_of_another_suffix(with_maps):
    with_maps.train_dataloader.dataset.seg_map_suffix = '_map.png'
    assert '3 of 3 semantic maps' in only(with_maps)


def test_no_folder_of_semantic_maps(with_maps):
    with_maps.train_dataloader.dataset.data_prefix.seg = 'nowhere/'
    assert 'no such folder of semantic maps' in only(with_maps)


@pytest.mark.parametrize(
    ('what', 'expected'), [('prefix', "data_prefix has no 'seg'"), ('step', 'loads no semantic maps (with_seg=True)')]
)
def test_a_semantic_branch_without_maps(with_maps, what, expected):
    dataset = with_maps.train_dataloader.dataset
    if what == 'prefix':
        del dataset.data_prefix['seg']
    else:
        dataset.pipeline[-1].pop('with_seg')
    text = only(with_maps)
    assert expected in text
    assert 'model.roi_head.semantic_head=None' in text
    # as with `--data`, for a model without the branch
    with_maps.model.roi_head.semantic_head = None
    assert texts(with_maps) == []

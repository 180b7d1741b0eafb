"""Findings about an annotation file and its images, word for word, with the kind by which the repair knows them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.datasets.checks.annotations import annotation_problems, file_problems
from swin_mmdet.datasets.checks.images import _differences
from swin_mmdet.datasets.checks.semantic_maps import WITHOUT, semantic_problems
from swin_mmdet.datasets.coco_file import CocoFile, summarise
from swin_mmdet.datasets.problems import Problem

FILE = Path('a.json')
KEYS = dict(id=1, image_id=1, category_id=1, bbox=[1, 1, 8, 8], area=64, segmentation=[[1, 1, 9, 1, 9, 9, 1, 9]])


def coco(images: int = 1, names: str = 'a', crowds: tuple[int, ...] = (0,)) -> CocoFile:
    """Images of 20 x 10 and an annotation of the first category for each of `crowds`."""
    return summarise(FILE, dict(
        images=[dict(id=1 + i, file_name=f'{i}.png', width=20, height=10) for i in range(images)],
        categories=[dict(id=1 + i, name=name) for i, name in enumerate(names)],
        annotations=[KEYS | dict(id=1 + i, iscrowd=crowd) for i, crowd in enumerate(crowds)],
    ))  # fmt: skip


def test_a_file_without_images_or_categories():
    found = file_problems(coco(images=0, names='', crowds=()), 'where')
    assert found == [
        Problem('where', 'a.json lists no images', 'use a file with images', kind='no_images'),
        Problem('where', 'a.json lists no categories', "add categories=[dict(id=1, name='...')]", kind='no_categories'),
    ]


def test_each_name_of_several_categories():
    found = file_problems(coco(names='bacba'), 'where')
    assert [(one.what, one.kind) for one in found if 'named' in one.what] == [
        (f"2 categories are named '{name}' (ids {ids}), so the labels of mmdet shift", 'category_name_twice')
        for name, ids in (('a', '2, 5'), ('b', '1, 4'))
    ]


@pytest.mark.parametrize(('crowds', 'level'), [((1, 1), 'error'), ((1, 1, 0), 'warning'), ((1, 0), None)])
def test_many_crowds(crowds: tuple[int, ...], level: str | None):
    found = [one for one in annotation_problems(coco(crowds=crowds), 'where') if one.kind == 'many_crowds']
    assert [(one.level, one.what.partition(':')[0]) for one in found] == [
        (level, f'2 of {len(crowds)} annotations of a.json have iscrowd=1')
    ] * bool(level)


def test_no_annotations():
    (found,) = annotation_problems(coco(crowds=()), 'where')
    assert (found.what, found.level, found.kind) == ('a.json has no annotations', 'error', 'no_annotations')


@pytest.mark.parametrize(
    ('sizes', 'level', 'remedy'),
    [
        (((10, 20),), 'error', 'width and height are exchanged'),
        (((40, 20),), 'error', 'or scale boxes'),
        (((21, 10), (20, 10)), 'warning', 'use the images'),
        (((33, 10),), 'error', 'use the images that were annotated: boxes would miss the objects'),
        (((20, 10), None), None, ''),
    ],
)
def test_images_of_another_size(sizes: tuple, level: str | None, remedy: str):
    named = [(f'{number}.png', SimpleNamespace(size=size)) for number, size in enumerate(sizes)]
    found = _differences(coco(images=len(sizes)), named, 'where', with_masks=False)
    if level is None:
        assert found == []
    else:
        (one,) = found
        width, height = sizes[0]
        words = f'1 images are not as large as a.json says: 0.png is {width}x{height}, not 20x10'
        assert (one.where, one.what, one.level, one.kind) == ('where', words, level, 'image_other_size')
        assert remedy in one.remedy


@pytest.mark.parametrize(
    ('source', 'wanted', 'words'),
    [
        (dict(with_map=True, map_folder=None), True, "data_prefix has no 'seg': there are no semantic maps"),
        (dict(with_map=False, map_folder=Path('maps')), True, 'the pipeline loads no semantic maps (with_seg=True)'),
        (dict(with_map=False, map_folder=None), False, None),
        (dict(with_map=True, map_folder=Path('nowhere')), True, 'no such folder of semantic maps: nowhere'),
    ],
)
def test_semantic_maps_that_are_not_loaded(source: dict, wanted: bool, words: str | None):
    found = semantic_problems(SimpleNamespace(key='key', **source), coco(), wanted=wanted)
    assert len(found) == bool(words)
    for one in found:
        assert (one.where, one.level) == ('key', 'error')
        assert one.what.endswith(words)
        assert one.remedy.endswith(WITHOUT)

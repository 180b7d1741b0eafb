"""The data sets that a config names, with every path and setting; and the step of a pipeline that reads images."""

from pathlib import Path

import numpy as np
import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmengine.config import Config
from PIL import Image

from swin_mmdet.datasets.read_image import ImageReader, UnreadableImageError
from swin_mmdet.datasets.sources import coco_sources

STEPS = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_mask=True)]


def sources(train: dict, **others) -> list:
    return coco_sources(Config(dict(train_dataloader=dict(dataset=train)) | others), quiet=True)


def only(**settings) -> object:
    (found,) = sources(dict(type='CocoDataset', ann_file='a.json') | settings)
    return found


def test_a_data_set_without_settings():
    found = only()
    assert (found.split, found.key, found.type_name, found.ann_file) == (
        'train', 'train_dataloader.dataset', 'CocoDataset', 'a.json')  # fmt: skip
    assert (found.image_folder, found.map_folder, found.map_suffix) == (None, None, '.png')
    assert (found.is_default, found.by_name, len(found.classes), found.classes[0]) == (True, False, 80, 'person')
    assert (found.pipeline, found.filter_cfg) == ((), {})
    assert (found.with_mask, found.polygons_only, found.with_map) == (False, False, False)


@pytest.mark.parametrize(
    ('root', 'ann_file', 'images', 'expected'),
    [
        *(('data', 'a.json', 'x/', ('data/a.json', 'data/x')), ('data/', 'b/a.json', '', ('data/b/a.json', 'data'))),
        *((None, 'a.json', 'x', ('a.json', 'x')), ('', 'a.json', 'x', ('a.json', 'x'))),
        *(('data', '/disk/a.json', '/disk/x', ('/disk/a.json', '/disk/x')),),
    ],
)
def test_paths_are_joined(root: str | None, ann_file: str, images: str, expected: tuple):
    found = only(data_root=root, ann_file=ann_file, data_prefix=dict(img=images, seg=images))
    assert (found.ann_file, str(found.image_folder), found.map_folder) == (*expected, Path(expected[1]))


@pytest.mark.parametrize(
    ('pipeline', 'mask', 'polygons', 'maps'),
    [
        *((STEPS, True, False, False), ([dict(type='A', with_mask=False)], False, False, False)),
        ([dict(type='A', with_mask=True, poly2mask=False)], True, True, False),
        ([dict(type='A', with_mask=True, poly2mask=True)], True, False, False),
        ([dict(type='RandomChoice', transforms=[[dict(type='A', with_seg=True)]])], False, False, True),
    ],
)
def test_what_a_pipeline_loads(pipeline: list, mask: bool, polygons: bool, maps: bool):
    found = only(pipeline=pipeline, seg_map_suffix='_seg.png', filter_cfg=dict(min_size=3))
    assert (found.with_mask, found.polygons_only, found.with_map) == (mask, polygons, maps)
    assert (found.map_suffix, found.filter_cfg, list(found.pipeline)) == ('_seg.png', dict(min_size=3), pipeline)


def test_classes(tmp_path: Path):
    (tmp_path / 'names.txt').write_text('cat\ndog\n')
    named = only(metainfo=dict(classes=str(tmp_path / 'names.txt')))
    assert (named.classes, named.is_default) == (('cat', 'dog'), False)
    assert only(metainfo=dict(classes='cat')).classes == 'cat'
    assert only(metainfo=dict(classes=['cat'])).classes == ('cat',)
    assert only(metainfo={}).is_default
    assert only(type='swin_mmdet.CocoDataset').by_name
    assert only(type=CocoDataset).type_name == 'CocoDataset'


def test_wrappers_and_splits():
    one, two = dict(type='CocoDataset', ann_file='1.json'), dict(type='CocoDataset', ann_file='2.json')
    found = sources(
        dict(type='ConcatDataset', datasets=[dict(type='RepeatDataset', dataset=one), dict(type='LVISV1Dataset'), two]),
        val_dataloader=dict(dataset=one), test_dataloader=dict(),
    )  # fmt: skip
    assert [(source.split, source.key, source.ann_file) for source in found] == [
        ('train', 'train_dataloader.dataset.datasets.0.dataset', '1.json'),
        ('train', 'train_dataloader.dataset.datasets.2', '2.json'), ('val', 'val_dataloader.dataset', '1.json'),
    ]  # fmt: skip


@pytest.mark.parametrize('settings', [
    dict(type='CocoPanopticDataset'), dict(type='NoSuch'), dict(ann_file='s3://a.json'),
    dict(backend_args=dict(backend='petrel')),
], ids=str)  # fmt: skip
def test_data_that_is_not_checked(settings: dict):
    assert sources(dict(type='CocoDataset', ann_file='a.json') | settings) == []
    assert only(backend_args=dict(backend='local'))




@pytest.mark.parametrize(
    ('pipeline', 'backend', 'is_guess', 'is_usual', 'is_local'),
    [
        *(([], 'cv2', False, True, True), ([dict(type='LoadAnnotations')], 'cv2', True, True, True)),
        ([dict(type='LoadImageFromFile', imdecode_backend='pillow')], 'pillow', False, True, True),
        ([dict(type='RandomChoice', transforms=[[dict(type=LoadImageFromFile, imdecode_backend='tifffile')]])],
         'tifffile', False, True, True),
        ([dict(type='LoadImageFromFile', backend_args=dict(backend='local'))], 'cv2', False, True, True),
        ([dict(type='LoadImageFromFile', backend_args=dict(backend='petrel'))], 'cv2', False, True, False),
        ([dict(type='LoadImageFromFile', file_client_args=dict(backend='disk'))], 'cv2', False, True, True),
        ([dict(type='LoadImageFromFile', file_client_args=dict(backend='petrel'))], 'cv2', False, True, False),
        # these read something else
        *(([dict(type=kind)], 'cv2', True, True, True) for kind in (
            'LoadImageFromNDArray', 'LoadMultiChannelImageFromFiles')),
    ],
    ids=str,
)  # fmt: skip
def test_the_step_that_reads_images(pipeline: list, backend: str, is_guess: bool, is_usual: bool, is_local: bool):
    found = ImageReader(pipeline)
    assert (found.step.imdecode_backend, found.is_guess, found.is_usual, found.is_local) == (
        backend, is_guess, is_usual, is_local)  # fmt: skip
    assert (found.damage, found.ignores) == ('', False)
    assert ImageReader([dict(type='LoadImageFromFile', ignore_empty=True)]).ignores


def test_why_an_image_cannot_be_read(tmp_path: Path):
    (tmp_path / 'empty').touch()
    (tmp_path / 'html').write_bytes(b'<html>')
    Image.fromarray(np.zeros((2, 3), np.uint8)).save(tmp_path / 'a.png')

    def reason(name: str, **step) -> tuple[str, bool]:
        with pytest.raises(UnreadableImageError) as caught:
            ImageReader([dict(type='LoadImageFromFile', **step)]).read(tmp_path / name)
        return str(caught.value), caught.value.ignored

    assert reason('empty') == ('the file is empty', False)
    assert reason('html') == ("imdecode_backend='cv2' decodes nothing with color_type='color'", False)
    assert reason('none', ignore_empty=True) == ('the file is missing, empty or broken', True)
    assert reason('html', imdecode_backend='pillow')[0].startswith('UnidentifiedImageError: cannot identify image')
    assert ImageReader().read(tmp_path / 'a.png').shape == (2, 3, 3)
    grey = ImageReader([dict(type='LoadImageFromFile', color_type='grayscale')])
    assert grey.read(str(tmp_path / 'a.png')).shape == (2, 3)

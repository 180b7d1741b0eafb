"""Image files are looked into before a run: as the pipeline reads them, by their headers where those tell enough."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS
from PIL import Image

from swin_mmdet.datasets import image_sizes
from swin_mmdet.datasets.check import DatasetCheckError, check_config, find_problems
from swin_mmdet.datasets.checks import images
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.headers import read_header
from swin_mmdet.datasets.read_image import ImageReader, as_picture
from tests.datasets.image_files import FILES, pixels, tiff
from tests.structures.annotations import uncompressed


@pytest.mark.parametrize('content', [b'', b'<html>404</html>', b'\xff\xd8\xff'], ids=['empty', 'html', 'cut off'])
def test_a_file_that_is_no_image_is_an_error_with_its_name(config, tmp_path, content):
    cfg = config()
    (tmp_path / 'train2017/2.jpg').write_bytes(content)
    with pytest.raises(DatasetCheckError, match=r'1 of 3 images in .*train2017 cannot be read: 2\.jpg'):
        check_config(cfg)


def noise(width, height, seed=0, mode='L'):
    shape = (height, width) + (3,) * (mode == 'RGB')
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, np.uint8))


@pytest.mark.parametrize(('size', 'text'), [
    ((50, 100), 'use the images that were annotated'),
    ((50, 50), 'or scale boxes, masks and sizes'),
    ((200, 200), 'or scale boxes, masks and sizes'),
])  # fmt: skip
def test_an_image_of_another_size_is_an_error_with_both_sizes(config, tmp_path, size, text):
    cfg = config()
    noise(*size).save(tmp_path / 'train2017/2.jpg')
    (problem,) = find_problems(cfg)[0]
    assert problem.level == 'error'
    assert f'2.jpg is {size[0]}x{size[1]}, not 100x100' in problem.what
    assert text in problem.remedy


def test_a_border_that_was_rounded_in_another_way_is_a_warning(config, tmp_path):
    cfg = config()
    noise(100, 99).save(tmp_path / 'train2017/2.jpg')
    (problem,) = find_problems(cfg)[0]
    assert problem.level == 'warning'


def test_an_image_of_another_size_is_an_error_where_its_masks_are_run_lengths(config, coco, tmp_path):
    mask = np.zeros((100, 100), np.uint8)
    mask[20:60, 10:40] = 1
    coco['annotations'][0]['segmentation'] = uncompressed(mask)
    cfg = config(train=coco)
    noise(100, 99).save(tmp_path / 'train2017/1.jpg')
    (problem,) = find_problems(cfg)[0]
    assert problem.level == 'error'
    assert 'masks in run lengths cannot be loaded' in problem.what
    # another image, without such masks
    noise(100, 100).save(tmp_path / 'train2017/1.jpg')
    noise(100, 99).save(tmp_path / 'train2017/2.jpg')
    (problem,) = find_problems(cfg)[0]
    assert problem.level == 'warning'


def test_exchanged_width_and_height_are_explained(config, coco):
    coco['images'][0].update(width=80, height=100)
    cfg = config(train=coco)
    coco_image = Path(cfg.train_dataloader.dataset.data_root) / 'train2017/1.jpg'
    noise(100, 80).save(coco_image)
    (problem,) = find_problems(cfg)[0]
    assert 'width and height are exchanged' in problem.remedy


def test_images_that_val_and_test_share_are_opened_once_and_reported_for_both(config, tmp_path, monkeypatch):
    cfg = config()
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    (tmp_path / 'val2017/2.jpg').write_bytes(b'')
    opened = []
    monkeypatch.setattr(image_sizes, 'read_header', lambda *args: opened.append(args[0]) or read_header(*args))
    (problem,) = find_problems(cfg)[0]
    assert problem.where == 'val_dataloader.dataset and test_dataloader.dataset'
    assert len(opened) == len(set(opened)) == 6


def pipeline(**arguments):
    return [dict(type='LoadImageFromFile') | arguments, dict(type='PackDetInputs')]


READERS = {
    'cv2': pipeline(),
    'cv2 unchanged': pipeline(color_type='unchanged'),
    'cv2 grey': pipeline(color_type='grayscale', to_float32=True),
    'cv2 without orientation': pipeline(color_type='color_ignore_orientation'),
    'pillow': pipeline(imdecode_backend='pillow'),
    'pillow unchanged': pipeline(imdecode_backend='pillow', color_type='unchanged'),
    'tifffile': pipeline(imdecode_backend='tifffile'),
}


@pytest.fixture(scope='module')
def all_files(tmp_path_factory):
    """Two files of each kind, one after the other."""
    folder = tmp_path_factory.mktemp('images')
    paths = [folder / f'{name} {number}' for name in FILES for number in range(2)]
    for path in paths:
        path.write_bytes(FILES[path.name[:-2]]())
    return paths


@pytest.mark.parametrize('name', READERS)
def test_sizes_are_those_that_the_pipeline_loads(all_files, name):
    """Whatever was learnt from a header, it is what the step itself gives."""
    if name == 'tifffile':
        pytest.importorskip('tifffile')
    reader = ImageReader(READERS[name])
    step = TRANSFORMS.build(READERS[name][0])
    for path, found in zip(all_files, image_sizes.image_sizes(all_files, reader), strict=True):
        try:
            expected = step(dict(img_path=str(path)))['img']
        except Exception:
            assert found.size is None, path.name
            assert found.reason
        else:
            assert found.size == expected.shape[1::-1], path.name
            read = reader.read(path)
            assert read.dtype == expected.dtype
            np.testing.assert_array_equal(read, expected)


def test_one_image_of_each_kind_is_decoded(tmp_path, monkeypatch):
    kinds = 'jpeg', 'jpeg turned', 'png 16 bits', 'tiff'
    paths = [tmp_path / f'{name} {number}' for name in kinds for number in range(5)]
    for path in paths:
        path.write_bytes(FILES[path.name[:-2]]())
    reader, decoded = ImageReader(), []
    read = reader.read
    monkeypatch.setattr(reader, 'read', lambda path: decoded.append(path) or read(path))
    sizes = [found.size for found in image_sizes.image_sizes(paths, reader)]
    assert sizes == [(30, 20)] * 5 + [(20, 30)] * 5 + [(30, 20)] * 10
    assert len(decoded) == len(kinds)


def cut(content):
    return content[:-1000]


DAMAGE = {
    'cut': cut,
    'cut and closed again': lambda content: cut(content) + b'\xff\xd9',
    'short of its last bytes': lambda content: content[:-10],
    'garbled': lambda content: content[:2000] + bytes(2000) + content[4000:],
}


@pytest.mark.parametrize('name', DAMAGE)
def test_a_jpeg_of_which_decoders_fill_up_a_part_is_an_error(config, tmp_path, name):
    pytest.importorskip('simplejpeg')
    cfg = config()
    path = tmp_path / 'train2017/2.jpg'
    noise(100, 100, mode='RGB').save(path)
    path.write_bytes(DAMAGE[name](path.read_bytes()))
    (problem,) = find_problems(cfg)[0]
    assert problem.level == 'error'
    assert 'of 3 images in ' in problem.what
    assert '2.jpg' in problem.what
    headers_alone, _ = find_problems(cfg, options=CheckOptions(pixels=False))
    assert len(headers_alone) == (name in ('cut', 'short of its last bytes'))


@pytest.mark.parametrize('name', ['whole', 'without its end', 'with something behind it'])
def test_a_jpeg_that_lacks_no_pixel_is_no_error(config, tmp_path, name):
    cfg = config()
    path = tmp_path / 'train2017/2.jpg'
    content = path.read_bytes()
    other = {'without its end': content[:-2], 'with something behind it': content + b'abc' * 50}
    path.write_bytes(other.get(name, content))
    levels = [problem.level for problem in find_problems(cfg)[0]]
    # as mmcv reads it, with cv2 4 and not with cv2 5
    loads = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) is not None
    assert levels == ['warning' if loads else 'error'] * (name == 'without its end')


@pytest.mark.parametrize('change', [
    lambda content: content[:-500], lambda content: content[:-500] + content[-12:],
    lambda content: content[:200] + b'x' + content[201:],
], ids=['cut', 'cut and closed again', 'a byte'])  # fmt: skip
def test_a_damaged_png_is_an_error(config, coco, tmp_path, change):
    coco['images'][1]['file_name'] = '2.png'
    cfg = config(train=coco)
    path = tmp_path / 'train2017/2.png'
    path.write_bytes(change(path.read_bytes()))
    (problem,) = find_problems(cfg)[0]
    assert problem.level == 'error'
    assert '2.png' in problem.what


def test_many_bands_pass_with_a_decoder_that_reads_them(config, tmp_path):
    pytest.importorskip('tifffile')
    cfg = config()
    image = tiff(pixels(8, height=100, width=100))
    for number in (1, 2, 3):
        (tmp_path / f'train2017/{number}.jpg').write_bytes(image)
    (problem,) = find_problems(cfg)[0]
    assert '3 of 3 images' in problem.what
    assert "imdecode_backend='cv2' decodes nothing with color_type='color'" in problem.what
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [dict(type='LoadImageFromFile', imdecode_backend='tifffile'), *dataset.pipeline[1:]]
    assert find_problems(cfg)[0] == []


def test_a_decoder_that_is_not_installed_is_named(config, monkeypatch):
    monkeypatch.setattr('mmcv.image.io.tifffile', None)
    cfg = config()
    cfg.train_dataloader.dataset.pipeline[0].imdecode_backend = 'tifffile'
    (problem,) = find_problems(cfg)[0]
    assert 'needs a package: pip install tifffile' in problem.what


def test_an_image_beyond_pils_limit_is_read_by_the_pipelines_decoder(config, monkeypatch):
    cfg = config()
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    assert find_problems(cfg)[0] == []
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.pipeline[0].imdecode_backend = 'pillow'
    problems = find_problems(cfg)[0]
    assert {problem.level for problem in problems} == {'error'}
    assert 'DecompressionBombError' in problems[0].what


def test_images_that_training_leaves_out_are_a_warning(config, tmp_path):
    cfg = config()
    for split in ('train', 'val'):
        (tmp_path / f'{split}2017/2.jpg').unlink()
    cfg.train_dataloader.dataset.pipeline[0].ignore_empty = True
    levels = {problem.where: problem.level for problem in find_problems(cfg)[0]}
    assert levels['train_dataloader.dataset'] == 'warning'
    assert levels['val_dataloader.dataset and test_dataloader.dataset'] == 'error'


def test_a_step_of_the_users_own_reads(config, tmp_path):
    class LoadMyImage(LoadImageFromFile):
        def transform(self, results):
            return results | dict(img=np.load(results['img_path'])[0])

    cfg = config()
    for path in sorted((tmp_path / 'train2017').iterdir()):
        with open(path, 'wb') as file:
            np.save(file, np.zeros((1, 100, 100, 5), np.float32))
    assert '3 of 3 images' in find_problems(cfg)[0][0].what
    cfg.train_dataloader.dataset.pipeline = [dict(type=LoadMyImage)]
    cfg.model = {}
    assert find_problems(cfg)[0] == []


@pytest.mark.parametrize(('image', 'expected'), [
    (np.full((4, 5), 7, np.uint8), 7),
    (np.full((4, 5, 1), 7.0, np.float32), 7),
    (np.full((4, 5, 12), 200, np.uint16), 200),
    (np.stack([np.zeros((4, 5)), np.ones((4, 5))], axis=1).astype(np.float32)[:, 1], 0),
], ids=['grey', 'float bytes', '12 bands', 'constant'])
def test_every_image_becomes_a_picture(image, expected):
    picture = as_picture(image)
    assert (picture.shape, picture.dtype) == ((4, 5, 3), np.uint8)
    assert (picture == expected).all()


def test_values_beyond_bytes_are_spread():
    image = np.linspace(-300, 5000, 60).reshape(3, 20)
    picture = as_picture(image)
    assert picture.min() == 0
    assert picture.max() == 255
    np.testing.assert_array_equal(picture[..., 0], np.linspace(0, 255, 60).reshape(3, 20).round())


@pytest.mark.parametrize('name', ['coco_mini', 'nuclei'])
def test_real_images_pass(shared_data, name):
    images = sorted((shared_data / name / 'val2017').iterdir())
    assert len(images) > 50
    assert all(found.size and not found.is_cut_off for found in image_sizes.image_sizes(images, ImageReader()))


def test_images_are_opened_last_and_not_where_the_annotations_are_wrong_already(config, tmp_path, monkeypatch):
    """Of a large data set, opening takes longest by far; the thorough check of check_dataset.py does it all."""
    opened = []
    monkeypatch.setattr(images, 'image_sizes', lambda paths, _, **__: opened.extend(paths) or [])
    cfg = config()
    check_config(cfg)
    assert len(opened) > 3
    opened.clear()
    cfg.train_dataloader.dataset.metainfo = dict(classes=('dragon',))
    (tmp_path / 'val2017/1.jpg').unlink()
    with pytest.raises(DatasetCheckError) as caught:
        check_config(cfg)
    assert 'dragon' in str(caught.value)
    assert '1.jpg' in str(caught.value), 'a file that is not there is found without opening any'
    assert not opened
    find_problems(cfg)
    assert opened


@pytest.mark.parametrize('change', [None, 'content', 'time'])
def test_images_are_decoded_again_only_when_they_change(config, tmp_path, monkeypatch, change):
    cfg, options = config(), CheckOptions(cache=tmp_path / 'cache')
    assert find_problems(cfg, options=options)[0] == []
    path = tmp_path / 'train2017/2.jpg'
    if change == 'content':
        path.write_bytes(path.read_bytes()[:-1000])
    if change == 'time':
        os.utime(path, (1, 1))
    decoded = []
    look = image_sizes.look_at_pixels
    monkeypatch.setattr(image_sizes, 'look_at_pixels', lambda *args: decoded.append(args[0]) or look(*args))
    problems = find_problems(cfg, options=options)[0]
    assert decoded == [str(path)] * (change is not None)
    assert len(problems) == (change == 'content')


def test_what_is_kept_of_images_may_be_lost_or_garbled(config, tmp_path):
    cfg, options = config(), CheckOptions(cache=tmp_path / 'cache')
    find_problems(cfg, options=options)
    for path in sorted((tmp_path / 'cache').iterdir()):
        path.write_text('{"version": 1, "images": ')
    (tmp_path / 'train2017/2.jpg').write_bytes(b'')
    assert len(find_problems(cfg, options=options)[0]) == 1

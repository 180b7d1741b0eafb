"""swin_mmdet.LoadImageFromFile: images of 16 bits, transparent or turned, against the pixels they were made of."""

import json

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from mmengine.config import Config
from PIL import Image, ImageOps

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.datasets.data_folder import use_folder
from swin_mmdet.datasets.image_needs import image_needs
from swin_mmdet.datasets.transforms import LoadImageFromFile
from tests.datasets.image_files import FILES, tiff

HEIGHT, WIDTH = 20, 30
ROWS, COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH]
RGB = np.stack([COLUMNS * 8, ROWS * 12, np.full_like(ROWS, 80)], axis=-1).astype(np.uint8)
GREY = (COLUMNS * 8).astype(np.uint8)
ALPHA = np.where(COLUMNS < 10, 0, np.where(COLUMNS < 20, 128, 255)).astype(np.uint8)


def read(path, **options):
    """RGB, as a person names colours."""
    return LoadImageFromFile(**options).transform({'img_path': str(path)})['img'][..., ::-1]


def deep(path, image, bits):
    """Write values of 0..255 as those of 0..2**bits - 1 in a file of 16 bits."""
    stored = (image.astype(np.float64) * ((2**bits - 1) / 255)).round().astype(np.uint16)
    cv2.imwrite(str(path), stored[..., ::-1] if image.ndim == 3 else stored)


@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
@pytest.mark.parametrize('suffix', ['.png', '.tif'])
@pytest.mark.parametrize('image', [RGB, GREY], ids=['colour', 'grey'])
def test_the_bits_in_use_become_the_whole_range(tmp_path, bits, suffix, image):
    path = tmp_path / f'a{suffix}'
    deep(path, image, bits)
    assert np.abs(read(path, bits=bits).astype(int) - np.atleast_3d(image)).max() <= 1


@pytest.mark.parametrize('suffix', ['.png', '.tif', '.webp'])
def test_transparent_pixels_show_the_background(tmp_path, suffix):
    image = Image.fromarray(np.dstack([RGB, ALPHA]), 'RGBA')
    image.save(tmp_path / f'a{suffix}', **({'lossless': True, 'exact': True} if suffix == '.webp' else {}))
    share = ALPHA[..., None] / 255
    for options, background in (({}, (255, 255, 255)), ({'background': (10, 200, 30)}, (10, 200, 30))):
        expected = RGB * share + np.array(background) * (1 - share)
        assert np.abs(read(tmp_path / f'a{suffix}', **options) - expected).max() <= 1


def test_transparent_pixels_of_16_bits_grey_and_palettes(tmp_path):
    stored = np.dstack([RGB[..., ::-1], ALPHA]).astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / 'deep.png'), stored)
    expected = RGB * (ALPHA[..., None] / 255) + 255 * (1 - ALPHA[..., None] / 255)
    assert np.abs(read(tmp_path / 'deep.png') - expected).max() <= 1
    Image.fromarray(np.dstack([GREY, ALPHA]), 'LA').save(tmp_path / 'grey.png')
    expected = np.repeat((GREY * (ALPHA / 255) + 255 * (1 - ALPHA / 255))[..., None], 3, axis=2)
    assert np.abs(read(tmp_path / 'grey.png') - expected).max() <= 1
    palette = Image.new('P', (2, 1))
    palette.putpalette([200, 0, 0, 0, 100, 0])
    palette.putdata([0, 1])
    palette.save(tmp_path / 'palette.png', transparency=0)
    assert read(tmp_path / 'palette.png').tolist() == [[[255, 255, 255], [0, 100, 0]]]


@pytest.mark.parametrize('orientation', range(1, 9))
def test_deep_and_transparent_images_are_turned_as_the_camera_says(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain, clear = tmp_path / 'plain.png', tmp_path / 'clear.png'
    image = Image.fromarray(np.dstack([RGB, np.full_like(ALPHA, 255)]), 'RGBA')
    image.save(clear, exif=exif)
    Image.fromarray(RGB).save(plain, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(plain)))
    assert (read(clear) == expected).all()
    cv2.imwrite(str(tmp_path / 'deep.png'), RGB[..., ::-1].astype(np.uint16) * 257)
    data, marked = (tmp_path / 'deep.png').read_bytes(), clear.read_bytes()
    start = marked.index(b'eXIf') - 4
    chunk = marked[start : start + 12 + int.from_bytes(marked[start : start + 4], 'big')]
    (tmp_path / 'deep.png').write_bytes(data[:33] + chunk + data[33:])
    assert (read(tmp_path / 'deep.png') == expected).all()


OTHERS = '16', 'float', 'alpha', 'bands', 'empty', 'html', 'only', 'cut off'
ORDINARY = [kind for kind in FILES if not any(word in kind for word in OTHERS)]


@pytest.mark.parametrize('kind', ORDINARY)
def test_ordinary_images_are_read_as_mmcv_reads_them(tmp_path, kind):
    path = tmp_path / 'a'
    path.write_bytes(FILES[kind]())
    expected = MMCVLoadImageFromFile().transform({'img_path': str(path)})['img']
    assert (read(path) == expected[..., ::-1]).all()


@pytest.mark.parametrize(('content', 'said'), [
    (FILES['tiff float'](), 'values are float32, of which none is known to be white'),
    (tiff(np.zeros((4, 5, 8), np.uint8)), "color_type='unchanged', imdecode_backend='tifffile'"),
    (b'', 'cannot be decoded'),
    (b'<html>', 'cannot be decoded'),
], ids=['float', '8 bands', 'empty', 'html'])  # fmt: skip
def test_what_is_no_picture_is_refused_by_name(tmp_path, content, said):
    path = tmp_path / 'a.tif'
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)
    assert LoadImageFromFile(ignore_empty=True).transform({'img_path': str(path)}) is None


WRONG = {'bits': 7}, {'bits': 17}, {'bits': 12.0}, {'background': (1, 2)}, {'background': (0, 0, 256)}


@pytest.mark.parametrize('wrong', WRONG, ids=str)
def test_wrong_arguments(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        LoadImageFromFile(**wrong)


@pytest.fixture
def folder(tmp_path):
    """folder(write): a COCO folder of two splits whose images `write(path)` makes."""

    def make(write):
        for split in ('train', 'val'):
            (tmp_path / f'{split}2017').mkdir()
            (tmp_path / 'annotations').mkdir(exist_ok=True)
            write(tmp_path / f'{split}2017/a.png')
            ann = {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 9, 9], 'area': 81, 'iscrowd': 0}
            content = {'images': [{'id': 1, 'file_name': 'a.png', 'width': WIDTH, 'height': HEIGHT}],
                       'categories': [{'id': 1, 'name': 'cat'}], 'annotations': [ann]}  # fmt: skip
            (tmp_path / f'annotations/instances_{split}2017.json').write_text(json.dumps(content))
        return tmp_path

    return make


@pytest.mark.parametrize(('write', 'needs'), [
    (lambda path: deep(path, RGB, 12), {'bits': 12}),
    (lambda path: deep(path, GREY, 8), {'bits': 8}),
    (lambda path: deep(path, RGB, 16), {}),
    (lambda path: Image.fromarray(np.dstack([RGB, ALPHA]), 'RGBA').save(path), {'background': (255, 255, 255)}),
    (lambda path: Image.fromarray(np.dstack([RGB, GREY * 0 + 255]), 'RGBA').save(path), {}),
    (lambda path: Image.fromarray(RGB).save(path), {}),
    (lambda path: path.write_bytes(b'broken'), {}),
], ids=['12 bits', '8 of 16', '16 bits', 'transparent', 'opaque', 'plain', 'broken'])  # fmt: skip
def test_a_folder_gets_the_step_that_its_images_need(folder, write, needs):
    root = folder(write)
    folders = [root / 'train2017', root / 'val2017']
    assert (
        image_needs(folders, [root / f'annotations/instances_{split}2017.json' for split in ('train', 'val')]) == needs
    )
    steps = [dict(type='LoadImageFromFile'), dict(type='LoadImageFromFile', color_type='unchanged')]
    loaders = {f'{split}_dataloader': dict(dataset=dict(ann_file='x', pipeline=steps)) for split in ('train', 'val')}
    cfg = Config(dict(model=dict(type='X'), **loaders))
    use_folder(cfg, str(root))
    for name in loaders:
        first, second = cfg[name].dataset.pipeline
        assert second == steps[1]
        assert first == (dict(type='swin_mmdet.LoadImageFromFile', **needs) if needs else steps[0])

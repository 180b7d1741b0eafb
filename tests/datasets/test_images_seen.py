"""What is seen of image files: headers, pixels, what is kept of them, and the words for those that are none."""

import io
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.datasets import headers, image_cache, image_sizes
from swin_mmdet.datasets.headers import Header, TooManyPixelsError, is_misnamed, read_header, what_it_is
from swin_mmdet.datasets.image_cache import ImageCache
from swin_mmdet.datasets.image_sizes import ImageSize
from swin_mmdet.datasets.pixels import Pixels, look_at_pixels
from swin_mmdet.datasets.read_image import ImageReader, as_picture

NOISE = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)


@pytest.mark.parametrize(
    ('start', 'what'),
    [
        *((b'', ''), (b'\0' * 64, 'nothing but zeros'), (b'\0\0x', ''), (b'text', '')),
        (b' \nversion https://git-lfs.github.com', 'a pointer of Git LFS: fetch the images with `git lfs pull`'),
        *((b'<svg a=1>', 'a drawing in SVG'), (b'<?xml version', 'an XML file'), (b'\n{"a": 1}', 'JSON')),
        (b'<!DOCTYPE html>', 'an HTML page, as a failed download leaves it'),
        *((b'%PDF-1', 'a PDF'), (b'PK\x03\x04', 'a zip archive'), (b'\x1f\x8b', 'compressed (gzip)')),
        *((b'II*\0', 'a TIFF or a raw photo'), (b'MM\0*', 'a TIFF or a raw photo'), (b'GIF89a', 'a GIF')),
        *((b'\x89PNG', 'a PNG'), (b'\xff\xd8\xff', 'a JPEG'), (b'RIFF', 'a WebP or a video')),
        *((b'0000ftypheic', 'a HEIC photo'), (b'0000ftypheix', 'a HEIC photo'), (b'0000ftypmif1', 'a HEIF photo')),
        *((b'0000ftypavif', 'an AVIF image'), (b'0000ftypisom', 'a video'), (b'000ftypheic', '')),
    ],
)
def test_what_a_file_is(tmp_path: Path, start: bytes, what: str):
    (tmp_path / 'a').write_bytes(start)
    assert what_it_is(tmp_path / 'a') == what
    assert what_it_is(tmp_path / 'nowhere') == ''


@pytest.mark.parametrize(
    ('name', 'format', 'expected'),
    [
        *(('a.jpg', 'JPEG', False), ('a.JPEG', 'JPEG', False), ('a.jfif', 'JPEG', False), ('a.png', 'JPEG', True)),
        *(('a.jpg', 'MPO', False), ('a.jpg', 'PNG', True), ('a.tiff', 'TIFF', False), ('a.tif', 'BMP', True)),
        *(('a', 'PNG', False), ('a.dat', 'PNG', False), ('a.png', 'ICO', False), ('png', 'JPEG', False)),
    ],
)
def test_names_of_other_formats(name: str, format: str, expected: bool):
    assert is_misnamed(name, Header((1, 1), (format, 'L', 1), True)) == expected


@pytest.mark.parametrize(
    ('mode', 'values', 'low', 'high'),
    [
        *(('L', [51, 204], 0.2, 0.8), ('RGB', [(51, 51, 51), (204, 204, 204)], 0.2, 0.8)),
        # what is transparent is no value, numbers of a palette and ink are none of light
        *(('LA', [(51, 0), (204, 255)], 0.2, 0.8), ('RGBA', [(51, 51, 51, 0), (204, 204, 204, 9)], 0.2, 0.8)),
        *(('P', [3, 9], 0, 1), ('1', [0, 1], 0, 1), ('CMYK', [(1, 2, 3, 4), (5, 6, 7, 8)], 0, 1)),
        *(('I;16', [13107, 52428], 0.2, 0.8), ('F', [0.25, 0.5], 0.25, 0.5), ('F', [50.0, 100.0], 0.5, 1)),
    ],
)
def test_the_range_of_values(tmp_path: Path, mode: str, values: list, low: float, high: float):
    picture = Image.new(mode, (2, 1))
    for x, value in enumerate(values):
        picture.putpixel((x, 0), value)
    picture.save(tmp_path / 'a.tif' if mode in ('F', 'CMYK') else tmp_path / 'a.png')
    (path,) = tmp_path.iterdir()
    found = look_at_pixels(path, 'other')
    assert (found.damage, found.harmless) == ('', False)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))


@pytest.mark.parametrize(
    ('low', 'high', 'is_blank', 'is_dark'),
    [(0, 1 / 16, False, False), (0, 0.062, False, True), (0.5, 0.5, True, False), (0, 0, True, True)],
)
def test_dark_and_blank(low: float, high: float, is_blank: bool, is_dark: bool):
    found = Pixels('', False, low, high)
    assert (found.is_blank, found.is_dark) == (is_blank, is_dark)


def jpeg(picture: np.ndarray = NOISE) -> bytes:
    return cv2.imencode('.jpg', picture)[1].tobytes()


def test_jpegs_that_end_too_early(tmp_path: Path):
    pytest.importorskip('simplejpeg')
    whole = jpeg()
    assert look_at_pixels('nowhere', 'JPEG', whole).damage == ''
    lacks_mark = look_at_pixels('nowhere', 'MPO', whole[:-2])
    assert (lacks_mark.damage, lacks_mark.harmless) == ('the mark of its end is missing', True)
    assert (lacks_mark.low, lacks_mark.high) != (0.0, 1.0)
    cut = look_at_pixels('nowhere', 'JPEG', whole[: len(whole) // 2])
    assert (bool(cut.damage), cut.harmless, cut.low, cut.high) == (True, False, 0.0, 1.0)
    (tmp_path / 'a').write_bytes(whole)
    assert look_at_pixels(tmp_path / 'a', 'JPEG') == look_at_pixels('nowhere', 'JPEG', whole)


def test_a_file_that_pil_cannot_decode(tmp_path: Path):
    Image.fromarray(NOISE).save(tmp_path / 'a.png')
    (tmp_path / 'a.png').write_bytes((tmp_path / 'a.png').read_bytes()[:-300])
    assert look_at_pixels(tmp_path / 'a.png', 'PNG').damage.startswith('OSError: ')


@pytest.mark.parametrize(
    ('side', 'limit', 'words'),
    [
        (2**14, None, 'it has 16384 x 16384 pixels'), (2**14 - 1, None, None),
        (2**14, 2**26, 'it has 268435456 pixels'),
    ],
)  # fmt: skip
def test_headers_of_images_too_large_to_decode(tmp_path, monkeypatch, side: int, limit: int | None, words: str | None):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', limit)
    content = jpeg().replace((20).to_bytes(2, 'big') + (30).to_bytes(2, 'big'), side.to_bytes(2, 'big') * 2)
    (tmp_path / 'a').write_bytes(content)
    if words is None:
        assert read_header(tmp_path / 'a').size == (side, side)
    else:
        with pytest.raises(TooManyPixelsError) as caught:
            read_header(tmp_path / 'a')
        assert str(caught.value) == words


def test_large_images_that_pil_refuses_and_others_may_take(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    (tmp_path / 'a').write_bytes(jpeg())
    assert read_header(tmp_path / 'a') is None


@pytest.mark.parametrize(
    ('name', 'options', 'frames', 'deep'),
    [
        ('a.gif', dict(save_all=True, append_images=[Image.fromarray(NOISE[::-1].copy())]), 2, False),
        ('a.tif', dict(save_all=True, append_images=[Image.fromarray(NOISE)] * 2), 3, False),
        *(('a.bmp', {}, 1, False), ('a.tif', {}, 1, False)),
    ],
)
def test_pictures_in_a_file(tmp_path: Path, name: str, options: dict, frames: int, deep: bool):
    Image.fromarray(NOISE).save(tmp_path / name, **options)
    found = read_header(tmp_path / name)
    assert (found.size, found.frames, found.deep) == ((30, 20), frames, deep)
    assert found.format == {'.gif': 'GIF', '.tif': 'TIFF', '.bmp': 'BMP'}[name[1:]]


def test_much_before_the_size(tmp_path: Path):
    """What cameras write before it lies within the first 256 KiB, or PIL looks."""
    for number, segments in enumerate((3, 5)):
        segment = b'\xff\xed' + (60_002).to_bytes(2, 'big') + bytes(60_000)
        content = jpeg()[:2] + segment * segments + jpeg()[2:]
        (tmp_path / str(number)).write_bytes(content)
        assert headers._everyday(tmp_path / str(number), None) == (None if segments == 5 else headers._by_pil(
            tmp_path / '0'))  # fmt: skip
        assert read_header(tmp_path / str(number)).size == (30, 20)
        assert headers._everyday('nowhere', content).size == (30, 20)


HEADER, PIXELS = Header((3, 2), ('PNG', 'L', 1), True), Pixels('cut', True, 0.25, 0.5)


def kept(folder: Path, images: Path) -> tuple[ImageCache, os.stat_result]:
    images.mkdir(exist_ok=True)
    (images / 'a').write_bytes(b'x')
    return ImageCache(images, folder), (images / 'a').stat()


def test_what_was_seen_is_found_again(tmp_path: Path):
    cache, status = kept(tmp_path / 'cache', tmp_path / 'images')
    assert cache.get('a', status) is None
    cache.put('a', status, HEADER, PIXELS)
    cache.put('b', status, HEADER, None)
    cache.put('c', status, Header((3, 2), ('PNG', 'L', 6), False, 2, True), PIXELS)
    cache.save()
    for found in (cache, kept(tmp_path / 'cache', tmp_path / 'images')[0]):
        assert found.get('a', status) == (HEADER, PIXELS)
        assert found.get('b', status) == (HEADER, None)
        assert found.get('c', status) == (Header((3, 2), ('PNG', 'L', 6), False, 2, True), PIXELS)
        assert found.get('d', status) is None
    (file,) = (tmp_path / 'cache').iterdir()
    assert file.suffix == '.json'
    assert len(json.loads(file.read_text())['headers']) == 2
    assert ImageCache(tmp_path / 'others', tmp_path / 'cache').get('a', status) is None
    # of another size, and of another time
    (tmp_path / 'images/a').write_bytes(b'xy')
    os.utime(tmp_path / 'images/a', ns=(status.st_atime_ns, status.st_mtime_ns))
    assert found.get('a', (tmp_path / 'images/a').stat()) is None
    (tmp_path / 'images/a').write_bytes(b'x')
    os.utime(tmp_path / 'images/a', ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert found.get('a', (tmp_path / 'images/a').stat()) is None


def test_nothing_is_kept_without_a_folder_or_a_change(tmp_path: Path):
    cache, status = kept(None, tmp_path / 'images')
    cache.put('a', status, HEADER, PIXELS)
    cache.save()
    assert cache.get('a', status) is None
    cache, status = kept(tmp_path / 'cache', tmp_path / 'images')
    cache.save()
    assert not (tmp_path / 'cache').exists()


@pytest.mark.parametrize(
    'spoil',
    [
        lambda kept: kept | dict(version=image_cache.VERSION - 1), lambda kept: kept | dict(headers=[]),
        lambda kept: kept | dict(images={'a': [1, 2]}), lambda _: [], lambda _: {'version': image_cache.VERSION},
    ],
)  # fmt: skip
def test_a_spoilt_cache_is_as_none(tmp_path: Path, spoil):
    cache, status = kept(tmp_path / 'cache', tmp_path / 'images')
    cache.put('a', status, HEADER, PIXELS)
    cache.save()
    cache.file.write_text(json.dumps(spoil(json.loads(cache.file.read_text()))))
    again, _ = kept(tmp_path / 'cache', tmp_path / 'images')
    assert again.get('a', status) is None
    again.put('a', status, HEADER, None)
    again.save()
    assert kept(tmp_path / 'cache', tmp_path / 'images')[0].get('a', status) == (HEADER, None)


def test_a_disk_that_cannot_be_written_is_no_fault_of_the_check(tmp_path: Path):
    (tmp_path / 'cache').write_text('a file')
    cache, status = kept(tmp_path / 'cache', tmp_path / 'images')
    cache.put('a', status, HEADER, PIXELS)
    cache.save()
    assert cache.get('a', status) == (HEADER, PIXELS)


def test_files_are_looked_at_once(tmp_path: Path, monkeypatch):
    images = tmp_path / 'images'
    images.mkdir()
    for name in 'ab':
        (images / name).write_bytes(jpeg())
    looked = []
    look = image_sizes._look
    monkeypatch.setattr(image_sizes, '_look', lambda path, how: looked.append((path.name, how)) or look(path, how))
    paths = [images / 'a', images / 'b', images / 'missing', images]

    def sizes(pixels: bool) -> list[tuple[int, int] | None]:
        looked.clear()
        cache = ImageCache(images, tmp_path / 'cache')
        return [one.size for one in image_sizes.image_sizes(paths, ImageReader(), pixels=pixels, cache=cache)]

    expected = [(30, 20), (30, 20), None, None]
    assert (sizes(False), looked) == (expected, [('a', False), ('b', False)])
    assert (sizes(False), looked) == (expected, [])
    # pixels were not looked at before; headers are known by them
    assert (sizes(True), looked) == (expected, [('a', True), ('b', True)])
    assert (sizes(True), sizes(False), looked) == (expected, expected, [])


def test_why_images_have_no_size(tmp_path: Path):
    (tmp_path / 'html').write_bytes(b'<html>')
    (tmp_path / 'empty').touch()
    found = image_sizes.image_sizes([tmp_path / name for name in ('html', 'empty', 'none')], ImageReader())
    nothing = "imdecode_backend='cv2' decodes nothing with color_type='color'"
    assert [(one.size, one.reason, one.is_cut_off) for one in found] == [
        (None, f'it is an HTML page, as a failed download leaves it; {nothing}', False),
        (None, 'the file is empty', False),
        (None, f"FileNotFoundError: [Errno 2] No such file or directory: '{tmp_path}/none'", False),
    ]
    ignoring = ImageReader([dict(type='LoadImageFromFile', ignore_empty=True)])
    (one,) = image_sizes.image_sizes([tmp_path / 'empty'], ignoring)
    assert one == ImageSize(None, reason='the file is missing, empty or broken', ignored=True)


@pytest.mark.parametrize(
    ('image', 'expected'),
    [
        (np.array([[3, 250]], np.uint8), [[[3] * 3, [250] * 3]]),
        (np.array([[[1, 2, 3, 4]]], np.uint8), [[[1, 2, 3]]]), (np.array([[[1, 2]]], np.uint8), [[[1, 1, 1]]]),
        # within bytes as they are, else from the smallest to the largest
        (np.array([[3.4, 250.0]], np.float32), [[[3] * 3, [250] * 3]]),
        (np.array([[0.0, 0.5, 1.0]], np.float32), [[[0] * 3, [128] * 3, [255] * 3]]),
        (np.array([[0, 256]], np.uint16), [[[0] * 3, [255] * 3]]),
        (np.array([[-1, 1]], np.int16), [[[0] * 3, [255] * 3]]),
        (np.array([[7.0, np.nan]], np.float32), [[[7] * 3, [0] * 3]]), (np.full((1, 1), 0.5), [[[0] * 3]]),
        (np.full((1, 1), 300), [[[0] * 3]]), (np.array([[0, 255]], np.int32), [[[0] * 3, [255] * 3]]),
    ],
    ids=str,
)  # fmt: skip
def test_any_image_as_a_picture(image: np.ndarray, expected: list):
    found = as_picture(image)
    assert (found.dtype, found.tolist()) == (np.uint8, expected)


def test_tiles_of_tiff_are_kinds_of_their_own(tmp_path: Path):
    kinds = set()
    for number, options in enumerate((dict(), dict(compression='tiff_lzw'), dict(compression='tiff_deflate'))):
        file = io.BytesIO()
        Image.fromarray(NOISE).save(file, 'TIFF', **options)
        (tmp_path / str(number)).write_bytes(file.getvalue())
        kinds.add(read_header(tmp_path / str(number)).kind)
    assert len(kinds) > 1
    assert {kind[:3] for kind in kinds} == {('TIFF', 'L', 1)}

"""Headers of everyday files are what Pillow says of them, or are left to Pillow."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from swin_mmdet.datasets import headers
from swin_mmdet.datasets.headers import read_header, whole_jpeg
from swin_mmdet.datasets.plain_headers import _first_chunk, _orientation, plain_header

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')  # of Pillow's, at spoilt files
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 37, 4), np.uint8)


def encoded(mode, format, **options):
    file = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(file, format, **options)
    return file.getvalue()


def exif(value, order='<'):
    block = Image.Exif()
    block.endian = order
    block[0x010F], block[0x0112] = 'a maker' * 500, value
    return block


def with_segment(jpeg, kind, body):
    """A JPEG with a segment before all others."""
    return jpeg[:2] + b'\xff' + bytes([kind]) + struct.pack('>H', len(body) + 2) + body + jpeg[2:]


def with_chunk(png, name, body):
    """A PNG with a chunk before its pixels."""
    place = png.index(b'IDAT') - 4
    chunk = struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
    return png[:place] + chunk + png[place:]


XMP = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/'
XMP += b'1999/02/22-rdf-syntax-ns#" xmlns:tiff="a"><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
EVERYDAY = {
    'colours': encoded('RGB', 'JPEG'),
    'grey': encoded('L', 'JPEG'),
    'progressive': encoded('RGB', 'JPEG', progressive=True),
    'of other tables': encoded('RGB', 'JPEG', quality=30, optimize=True, subsampling=0),
    'with a profile': encoded('RGB', 'JPEG', icc_profile=bytes(100_000)),
    'with a comment': encoded('RGB', 'JPEG', comment=b'a' * 9000),
    'turned': encoded('RGB', 'JPEG', exif=exif(6)),
    'turned, other order': encoded('RGB', 'JPEG', exif=exif(8, '>')),
    'PNG': encoded('RGB', 'PNG'),
    'PNG in grey': encoded('L', 'PNG'),
    'PNG with alpha': encoded('RGBA', 'PNG'),
    'PNG in grey with alpha': encoded('LA', 'PNG'),
    'PNG of a palette': encoded('P', 'PNG'),
    'PNG with sizes': encoded('RGB', 'PNG', dpi=(72, 72)),
}
STRANGE = {
    'CMYK': encoded('CMYK', 'JPEG'),
    'several': encoded('RGB', 'MPO', save_all=True, append_images=[Image.fromarray(PICTURE[..., :3])]),
    'turned by XMP': with_segment(EVERYDAY['colours'], 0xE1, XMP),
    'two Exifs': with_segment(EVERYDAY['turned'], 0xE1, b'Exif\0\0' + exif(3).tobytes()[6:]),
    'no tables': EVERYDAY['colours'].replace(b'\xff\xdb\x00C', b'\xff\xdb\x00B', 1),
    'PNG of bits': encoded('1', 'PNG'),
    'PNG of 16 bits': encoded('I;16', 'PNG'),
    'PNG that moves': encoded('RGB', 'PNG', save_all=True, append_images=[Image.new('RGB', (37, 24))]),
    'turned PNG': encoded('RGB', 'PNG', exif=exif(6)),
    'PNG of text': with_chunk(EVERYDAY['PNG'], b'zTXt', b'a\0\0' + zlib.compress(b'b')),
    'PNG with a wrong sum': EVERYDAY['PNG'].replace(b'IHDR', b'IHDQ'),
    'GIF': encoded('P', 'GIF'),
}


def assert_as_pillow_says(path):
    """But for what the header of a file without one is."""
    found = read_header(path)
    try:
        expected = headers._by_pil(path)
    except Exception:
        expected = None
    assert found == expected


@pytest.mark.parametrize('name', EVERYDAY)
def test_an_everyday_header_is_that_of_pillow(tmp_path, name):
    (tmp_path / 'a').write_bytes(EVERYDAY[name])
    found = plain_header(EVERYDAY[name])
    assert found.format == ('PNG' if 'PNG' in name else 'JPEG')
    assert found.orientation == {'turned': 6, 'turned, other order': 8}.get(name, 1)
    assert_as_pillow_says(tmp_path / 'a')
    assert read_header(tmp_path / 'a', EVERYDAY[name]) == read_header(tmp_path / 'a')


@pytest.mark.parametrize('name', STRANGE)
def test_anything_else_is_left_to_pillow(tmp_path, name):
    assert plain_header(STRANGE[name]) is None
    (tmp_path / 'a').write_bytes(STRANGE[name])
    assert_as_pillow_says(tmp_path / 'a')


@pytest.mark.parametrize('name', ['colours', 'progressive', 'turned', 'PNG', 'PNG of a palette'])
def test_a_file_that_is_cut_anywhere_in_its_header_has_that_of_pillow(tmp_path, name):
    content = EVERYDAY[name]
    for end in [*range(3, 700, 29), len(content) // 2, len(content) - 1]:
        (tmp_path / 'a').write_bytes(content[:end])
        found = read_header(tmp_path / 'a')
        if found is not None:
            assert_as_pillow_says(tmp_path / 'a')


@pytest.mark.parametrize('name', ['colours', 'turned', 'PNG', 'PNG of a palette'])
def test_a_spoilt_byte_never_makes_another_size(tmp_path, name):
    """What is taken is what Pillow would say; what it refuses is refused, or of the size that it was."""
    rng = np.random.default_rng(1)
    for _ in range(150):
        content = bytearray(EVERYDAY[name])
        content[int(rng.integers(2, min(len(content), 700)))] = int(rng.integers(256))
        (tmp_path / 'a').write_bytes(content)
        found = read_header(tmp_path / 'a')
        try:
            expected = headers._by_pil(tmp_path / 'a')
        except Exception:
            assert found is None or found.size == (37, 24)
        else:
            assert found == expected


def test_the_end_is_looked_for_where_a_file_ends(tmp_path):
    long = EVERYDAY['colours'][:-2] + bytes(10_000) + b'\xff\xd9' + bytes(3000)
    (tmp_path / 'a').write_bytes(long)
    assert read_header(tmp_path / 'a').ends
    (tmp_path / 'a').write_bytes(long + bytes(2000))
    assert not read_header(tmp_path / 'a').ends


def test_real_images_have_the_headers_of_pillow(shared_data):
    paths = sorted(Path(shared_data, 'coco_mini').rglob('*.jpg'))[::7]
    assert len(paths) > 30
    for path in paths:
        assert plain_header(path.read_bytes()) is not None
        assert_as_pillow_says(path)


def test_a_png_made_with_text_is_everyday():
    info = PngImagePlugin.PngInfo()
    info.add_text('Software', 'a program')
    assert plain_header(encoded('RGB', 'PNG', pnginfo=info)) is not None


def test_only_a_jpeg_is_read_whole(tmp_path):
    """Its bytes serve the header and the pixels; of other files the first few say enough."""
    pixels = np.random.default_rng(0).integers(256, size=(300, 300, 3), dtype=np.uint8)
    for name in ('a.jpg', 'a.png'):
        Image.fromarray(pixels).save(tmp_path / name)
    assert whole_jpeg(tmp_path / 'a.jpg') == (tmp_path / 'a.jpg').read_bytes()
    assert whole_jpeg(tmp_path / 'a.png') is None


def test_a_block_of_exif_may_end_behind_a_table_without_entries():
    block = b'MM\0*' + (8).to_bytes(4, 'big') + b'\0\0'
    assert _orientation(block) == 1
    assert _orientation(block[:-1]) is None


@pytest.mark.parametrize(
    ('width', 'height', 'known'),
    [(1, 2**24 + 3, True), (2**31 - 1, 1, True), (2**31, 1, False), (1, 2**31, False), (0, 1, False), (1, 0, False)],
)
def test_the_sides_of_a_png(width, height, known):
    found = _first_chunk(b'IHDR', struct.pack('>II', width, height) + b'\x08\2\0\0\0')
    assert (found and found.size) == ((width, height) if known else None)

"""What the header of an image file tells: format, size, orientation; and what a file is that is no image."""

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from swin_mmdet.datasets.plain_headers import JPEG, PNG, plain_header

ORIENTATION = 0x0112
# how files end, and within how many bytes: cameras write something after a JPEG
ENDS = {'JPEG': (b'\xff\xd9', 4096), 'MPO': (b'\xff\xd9', 4096), 'PNG': (b'IEND', 64)}
# bytes that are read at first, for more, and of the end
START, MUCH, END = 4096, 2**18, 4096
# pixels that no decoder is asked for: gigabytes for one image
MOST_PIXELS = 2**28
# formats whose files may hold several images
SEVERAL = ('GIF', 'WEBP', 'TIFF', 'PNG')
SUFFIXES = {
    'JPEG': ('.jpg', '.jpeg', '.jpe', '.jfif'), 'MPO': ('.jpg', '.jpeg', '.mpo'), 'PNG': ('.png', '.apng'),
    'GIF': ('.gif',), 'BMP': ('.bmp', '.dib'), 'TIFF': ('.tif', '.tiff'), 'WEBP': ('.webp',),
}  # fmt: skip
KNOWN = {suffix for suffixes in SUFFIXES.values() for suffix in suffixes}
OTHERS = (
    (b'version https://git-lfs', 'a pointer of Git LFS: fetch the images with `git lfs pull`'),
    (b'<svg', 'a drawing in SVG'),
    (b'<?xml', 'an XML file'),
    (b'<', 'an HTML page, as a failed download leaves it'),
    (b'{', 'JSON'),
    (b'%PDF', 'a PDF'),
    (b'PK\x03\x04', 'a zip archive'),
    (b'\x1f\x8b', 'compressed (gzip)'),
    (b'II*\x00', 'a TIFF or a raw photo'),
    (b'MM\x00*', 'a TIFF or a raw photo'),
    (b'GIF8', 'a GIF'),
    (b'\x89PNG', 'a PNG'),
    (b'\xff\xd8\xff', 'a JPEG'),
    (b'RIFF', 'a WebP or a video'),
)
IN_BRANDS = {b'heic': 'a HEIC photo', b'heix': 'a HEIC photo', b'mif1': 'a HEIF photo', b'avif': 'an AVIF image'}


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    size: width and height as stored.
    kind: what decoders treat alike has the same; its format comes first.
    ends: the file ends as its format does.
    frames: images in the file.
    deep: its values have more than 8 bits.
    """

    size: tuple[int, int]
    kind: tuple
    ends: bool
    frames: int = 1
    deep: bool = False

    @property
    def format(self) -> str:
        return self.kind[0]


class TooManyPixelsError(ValueError):
    """An image that takes gigabytes when it is decoded, or says so."""


def read_header(path: str | Path, content: bytes | None = None) -> Header | None:
    """None where PIL knows no header; another decoder may.

    content: all of the file, where it was read already

    Raises:
        TooManyPixelsError: the image must not be decoded.
    """
    try:
        header = _everyday(path, content) or _by_pil(path)
    except Image.DecompressionBombError as error:
        pixels = int((re.findall(r'\d+', str(error)) or [MOST_PIXELS])[0])
        if pixels >= MOST_PIXELS:
            raise TooManyPixelsError(f'it has {pixels} pixels') from error
        return None
    except Exception:  # its plugins raise anything; the pipeline's decoder has the last word
        return None
    if header.size[0] * header.size[1] >= MOST_PIXELS:
        raise TooManyPixelsError(f'it has {header.size[0]} x {header.size[1]} pixels')
    return header


def whole_jpeg(path: str | Path) -> bytes | None:
    """All bytes of a file if it begins as a JPEG does."""
    with open(path, 'rb', buffering=0) as file:
        start = file.read(START)
        return start + file.read() if start.startswith(JPEG) else None


def _everyday(path: str | Path, content: bytes | None) -> Header | None:
    """Of most files, from their first and last bytes."""
    if content is not None:
        return _from_bytes(content, content)
    with open(path, 'rb', buffering=0) as file:
        start = file.read(START)
        if not start.startswith((JPEG, PNG)):
            return None
        size = os.fstat(file.fileno()).st_size
        end = start if size <= len(start) else _read(file, max(size - END, 0), END)
        found = _from_bytes(start, end)
        if not found and size > len(start):
            # cameras and programs write much before the size
            found = _from_bytes(_read(file, 0, MUCH), end)
        return found


def _read(file: io.FileIO, place: int, number: int) -> bytes:
    file.seek(place)
    return file.read(number)


def _from_bytes(start: bytes, end: bytes) -> Header | None:
    found = plain_header(start)
    limit = Image.MAX_IMAGE_PIXELS
    if not found or (limit and found.size[0] * found.size[1] > limit):
        return None  # of the largest, PIL has more to say
    mark, within = ENDS[found.format]
    return Header(found.size, (found.format, found.mode, found.orientation), mark in end[-within:])


def _by_pil(path: str | Path) -> Header:
    with open(path, 'rb') as file, Image.open(file) as image:
        return _header(file, image)


def _header(file: BinaryIO, image: Image.Image) -> Header:
    end, within = ENDS.get(image.format, (b'', 0))
    file.seek(max(os.fstat(file.fileno()).st_size - within, 0))
    ends = end in file.read(within)
    # PIL would decode a whole PNG in search of it
    exif = image.getexif() if image.format != 'PNG' or 'exif' in image.info else {}
    # the tiles tell compression and bits
    tile = image.tile[0] if image.tile else None
    raw = str(tile[3][0] if tile and isinstance(tile[3], tuple) else tile and tile[3])
    stored = [tile[0], tile[3][0]] if tile and image.format == 'TIFF' else []
    frames = getattr(image, 'n_frames', 1) if image.format in SEVERAL else 1
    deep = ';16' in raw or image.mode.startswith(('I', 'F'))
    return Header(image.size, (image.format, image.mode, exif.get(ORIENTATION, 1), *stored), ends, frames, deep)


def is_misnamed(name: str, header: Header) -> bool:
    """Whether the name of a file has the suffix of another format."""
    suffix = os.path.splitext(name)[1].lower()
    return suffix in KNOWN and header.format in SUFFIXES and suffix not in SUFFIXES[header.format]


def what_it_is(path: str | Path) -> str:
    """Of a file that is no image, or none that can be read: what it begins as, '' where that is unknown."""
    try:
        with open(path, 'rb') as file:
            start = file.read(64)
    except OSError:
        return ''
    if start and not start.strip(b'\0'):
        return 'nothing but zeros'
    if start[4:8] == b'ftyp':
        return IN_BRANDS.get(start[8:12], 'a video')
    return next((what for mark, what in OTHERS if start.lstrip().startswith(mark)), '')

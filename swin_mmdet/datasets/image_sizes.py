"""Sizes of many images as a pipeline will load them, from their headers where these can be believed.

A header tells format, size and orientation. Whether the pipeline's decoder reads such files, and whether it turns them,
is learnt by decoding one of each kind. What a header cannot tell is damage between it and the end of the file: only
files that do not end as their format does are looked at further.
"""

import os
import warnings
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from swin_mmdet.datasets.read_image import ImageReader, UnreadableImageError

READERS, DECODERS = 16, 4  # threads; decoded images are large
SAMPLES = 3
ORIENTATION = 0x0112
# how files end, and within how many bytes: cameras write something after a JPEG
ENDS = {'JPEG': (b'\xff\xd9', 4096), 'MPO': (b'\xff\xd9', 4096), 'PNG': (b'IEND', 64)}


@dataclass(frozen=True)
class Header:
    """Width and height as stored; what of `kind`, decoders treat alike; whether the file `ends` as its format does."""

    size: tuple[int, int]
    kind: tuple
    ends: bool


@dataclass(frozen=True)
class ImageSize:
    """Width and height as the pipeline loads an image, None if it cannot; whether pixels are missing; why it fails."""

    size: tuple[int, int] | None
    is_cut_off: bool = False
    reason: str = ''
    ignored: bool = False


def image_sizes(paths: Sequence[Path], reader: ImageReader) -> list[ImageSize]:
    """Of each image; a decoder sees those alone of which the headers do not tell enough."""
    with warnings.catch_warnings(), ThreadPoolExecutor(READERS) as pool:
        # of PIL's, at images which the pipeline may well take
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)
        headers = list(pool.map(read_header, paths))
    kinds: dict[tuple, list[int]] = defaultdict(list)
    decode = []
    for index, header in enumerate(headers):
        if header is None or not header.ends:
            decode.append(index)
        else:
            kinds[header.kind].append(index)
    sizes: dict[int, ImageSize] = {}
    with ThreadPoolExecutor(DECODERS) as pool:
        for indices in kinds.values():
            turned = _turned([(paths[i], headers[i].size) for i in indices], reader)
            if turned is None:
                decode += indices
            else:
                sizes |= {i: ImageSize(headers[i].size[:: -1 if turned else 1]) for i in indices}
        decoded = pool.map(lambda index: _decoded(paths[index], headers[index], reader), decode)
        sizes |= dict(zip(decode, decoded, strict=True))
    return [sizes[index] for index in range(len(paths))]


def read_header(path: Path) -> Header | None:
    """None where PIL knows no header; another decoder may."""
    try:
        with open(path, 'rb') as file, Image.open(file) as image:
            end, within = ENDS.get(image.format, (b'', 0))
            file.seek(max(os.fstat(file.fileno()).st_size - within, 0))
            ends = end in file.read(within)
            # PIL would decode a whole PNG in search of it
            exif = image.getexif() if image.format != 'PNG' or 'exif' in image.info else {}
            # the tiles tell compression and bits
            stored = [(codec, arguments[0]) for codec, _, _, arguments in image.tile[:1] if image.format == 'TIFF']
            return Header(image.size, (image.format, image.mode, exif.get(ORIENTATION, 1), *stored), ends)
    except Exception:  # its plugins raise anything; the pipeline's decoder has the last word
        return None


def _turned(images: Sequence[tuple[Path, tuple[int, int]]], reader: ImageReader) -> bool | None:
    """Whether the pipeline turns images of one kind by 90 degrees; None if it reads none of some as large as stored."""
    oblong = [image for image in images if image[1][0] != image[1][1]]
    for path, size in (oblong or list(images))[:SAMPLES]:
        loaded = _decoded(path, None, reader).size
        if loaded in (size, size[::-1]):
            return loaded != size
    return None


def _decoded(path: Path, header: Header | None, reader: ImageReader) -> ImageSize:
    try:
        height, width = reader.read(path).shape[:2]
    except UnreadableImageError as error:
        return ImageSize(None, reason=str(error), ignored=error.ignored)
    return ImageSize((width, height), is_cut_off=header is not None and not header.ends and _lacks_pixels(path))


def _lacks_pixels(path: Path) -> bool:
    """Whether PIL, which fills nothing up, misses the end of the data."""
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError):
        return True
    return False

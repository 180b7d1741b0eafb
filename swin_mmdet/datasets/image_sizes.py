"""Sizes of many images as a pipeline will load them, from their headers where these can be believed; and their damage.

A header tells format, size and orientation. Whether the pipeline's decoder reads such files, and whether it turns them,
is learnt by decoding one of each kind. Damage between header and end is found by decoding every file (`pixels`);
without that, only files that do not end as their format does are looked at further.
"""

import os
import stat
import warnings
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from swin_mmdet.datasets.headers import Header, TooManyPixelsError, read_header, what_it_is, whole_jpeg
from swin_mmdet.datasets.image_cache import ImageCache
from swin_mmdet.datasets.parallel import in_processes
from swin_mmdet.datasets.pixels import Pixels, look_at_pixels
from swin_mmdet.datasets.read_image import ImageReader, UnreadableImageError

SAMPLES = 3


@dataclass(frozen=True)
class ImageSize:
    """Width and height as the pipeline loads an image, None if it cannot, and what is known of the file.

    is_cut_off: pixels are missing, which decoders may fill up.
    reason: why it cannot be loaded, or what is missing.
    ignored: a training takes another image instead.
    too_large: no decoder should be asked for it.
    """

    size: tuple[int, int] | None
    is_cut_off: bool = False
    reason: str = ''
    ignored: bool = False
    too_large: bool = False
    header: Header | None = None
    pixels: Pixels | None = None


@dataclass(frozen=True)
class Seen:
    """What one look at a file gave."""

    header: Header | None = None
    pixels: Pixels | None = None
    too_large: str = ''

    @property
    def is_sure(self) -> bool:
        """Whether the header can be believed."""
        if self.header is None:
            return False
        return self.header.ends if self.pixels is None else not self.pixels.damage


def image_sizes(
    paths: Sequence[str | Path], reader: ImageReader, *, pixels: bool = False, cache: ImageCache | None = None
) -> list[ImageSize]:
    """Of each image; the pipeline's decoder sees those alone of which headers do not tell enough.

    pixels: decode every file, with a faster decoder, in search of damage
    cache: of earlier looks
    """
    seen = _look_at(paths, pixels, cache)
    kinds: dict[tuple, list[int]] = defaultdict(list)
    decode: list[int] = []
    stored: dict[int, Header] = {}
    sizes: dict[int, ImageSize] = {}
    for index, look in enumerate(seen):
        if look.too_large:
            sizes[index] = ImageSize(None, reason=look.too_large, too_large=True)
        elif look.header is None or not look.is_sure:
            decode.append(index)
        else:
            kinds[look.header.kind].append(index)
            stored[index] = look.header
    for indices in kinds.values():
        turned = _turned([(paths[i], stored[i].size) for i in indices], reader)
        if turned is None:
            decode += indices
            continue
        for i in indices:
            header = stored[i]
            size = header.size[::-1] if turned else header.size
            sizes[i] = ImageSize(size, header=header, pixels=seen[i].pixels)
    decoded = in_processes(lambda index: _decoded(paths[index], seen[index], reader), decode, 'images decoded')
    for index, found in zip(decode, decoded, strict=True):
        sizes[index] = replace(found, header=seen[index].header, pixels=seen[index].pixels)
    return [sizes[index] for index in range(len(paths))]


def _look_at(paths: Sequence[str | Path], pixels: bool, cache: ImageCache | None) -> list[Seen]:
    states = [_state(path) for path in paths]
    kept = [_kept(path, state, pixels, cache) for path, state in zip(paths, states, strict=True)]
    new = [index for index, look in enumerate(kept) if look is None]
    what = 'images looked at' if pixels else 'headers read'
    with warnings.catch_warnings():
        # of PIL's, at images which the pipeline may well take
        warnings.simplefilter('ignore', Image.DecompressionBombWarning)
        looks = in_processes(lambda index: _look(paths[index], pixels), new, what)
        for index, look in zip(new, looks, strict=True):
            kept[index] = look
            if cache and look.header and (state := states[index]):
                cache.put(paths[index], state, look.header, look.pixels)
    if cache:
        cache.save()
    return [look for look in kept if look is not None]


def _state(path: str | Path) -> os.stat_result | None:
    """None for what is no file to be read."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _kept(path: str | Path, state: os.stat_result | None, pixels: bool, cache: ImageCache | None) -> Seen | None:
    """What is known without opening the file, None for nothing."""
    if state is None:
        return Seen()
    kept = cache.get(path, state) if cache else None
    return Seen(*kept) if kept and (kept[1] or not pixels) else None


def _look(path: str | Path, pixels: bool) -> Seen:
    try:
        content = whole_jpeg(path) if pixels else None
        header = read_header(path, content)
    except TooManyPixelsError as error:
        return Seen(too_large=str(error))
    except (OSError, ValueError):
        return Seen()
    return Seen(header, look_at_pixels(path, header.format, content) if pixels and header else None)


def _turned(images: Sequence[tuple[str | Path, tuple[int, int]]], reader: ImageReader) -> bool | None:
    """Whether the pipeline turns images of one kind by 90 degrees; None if it reads none of some as large as stored."""
    oblong = [image for image in images if image[1][0] != image[1][1]]
    for path, size in (oblong or list(images))[:SAMPLES]:
        loaded = _decoded(path, None, reader).size
        if loaded in (size, size[::-1]):
            return loaded != size
    return None


def _decoded(path: str | Path, seen: Seen | None, reader: ImageReader) -> ImageSize:
    try:
        height, width = reader.read(path).shape[:2]
    except UnreadableImageError as error:
        what = '' if seen and seen.header else what_it_is(path)
        reason = f'it is {what}; {error}' if what else str(error)
        return ImageSize(None, reason=reason, ignored=error.ignored)
    if seen is None or seen.header is None:
        return ImageSize((width, height))
    if seen.pixels is not None:
        lost = bool(seen.pixels.damage) and not seen.pixels.harmless
        return ImageSize((width, height), is_cut_off=lost, reason=seen.pixels.damage)
    return ImageSize((width, height), is_cut_off=not seen.header.ends and _lacks_pixels(path))


def _lacks_pixels(path: str | Path) -> bool:
    """Whether PIL, which fills nothing up, misses the end of the data."""
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError):
        return True
    return False

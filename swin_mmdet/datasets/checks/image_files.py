"""What is wrong with image files: they cannot be read, lack pixels, are no pictures or are of no shape to train on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from swin_mmdet.datasets.headers import is_misnamed
from swin_mmdet.datasets.image_sizes import ImageSize
from swin_mmdet.datasets.problems import ERROR, WARNING, Problem, count, some
from swin_mmdet.datasets.read_image import ImageReader, UnreadableImageError

Named = Sequence[tuple[str, ImageSize]]
COPY = 'copy or download these files again, or remove them from the annotations'
# pixels: an image of a shorter side shows no object; one so much longer than high is resized to a few rows
SMALLEST, LONGEST, LONG = 2, 100, 20
# a file of more than 8 bits is read as if its values reached the end of their type: 14 bits of 16 reach a quarter
DEEP_DARK = 0.26
# of a picture as the pipeline gives it
BRIGHT = 64


def image_file_problems(
    named: Named, folder: Path, where: str, reader: ImageReader, *, may_ignore: bool
) -> list[Problem]:
    """Of images with their sizes as the pipeline loads them.

    may_ignore: images that the reader ignores are only a warning, as in training
    """
    of_all = f'of {len(named)} images in {folder}'
    found = _unreadable(named, of_all, where, reader, may_ignore)
    found += _damaged(named, of_all, where)
    found += _shapes(named, of_all, where)
    return found + _contents(named, folder, of_all, where, reader)


def _unreadable(named: Named, of_all: str, where: str, reader: ImageReader, may_ignore: bool) -> list[Problem]:
    found = []
    large = [(name, size) for name, size in named if size.too_large]
    if large:
        what = f'{len(large)} {of_all} are too large to decode: {some([name for name, _ in large], 3)}'
        what += f' ({large[0][1].reason}; gigabytes of memory for one)'
        remedy = 'cut them into tiles, or remove them from the annotations'
        found.append(Problem(where, what, remedy, ERROR, 'image_huge'))
    unreadable = [(name, size) for name, size in named if size.size is None and not size.too_large]
    if unreadable:
        what = f'{len(unreadable)} {of_all} cannot be read: ' + some([name for name, _ in unreadable], 3)
        what += f' ({unreadable[0][1].reason})'
        ignored = may_ignore and all(size.ignored for _, size in unreadable)
        remedy = (
            f'{COPY}; if they are sound, the pipeline needs another imdecode_backend or color_type of LoadImageFromFile'
        )
        # a step of the user's own may need what is not known here
        level = WARNING if ignored or not reader.is_usual else ERROR
        found.append(Problem(where, what, remedy, level, 'image_unreadable'))
    return found


def _damaged(named: Named, of_all: str, where: str) -> list[Problem]:
    found = []
    cut_off = [(name, size.reason) for name, size in named if size.is_cut_off]
    if cut_off:
        why = f' ({cut_off[0][1]})' if cut_off[0][1] else ''
        what = f'{len(cut_off)} {of_all} are cut off or damaged, and decoders fill up what is missing: '
        what += some([name for name, _ in cut_off], 3) + why
        found.append(Problem(where, what, COPY, ERROR, 'image_cut'))
    harmless = [name for name, size in named if size.size and size.pixels and size.pixels.harmless]
    if harmless:
        what = f'{len(harmless)} {of_all} lack the mark of their end; no pixel is lost: {some(harmless, 3)}'
        found.append(Problem(where, what, 'nothing to do, though other programs may refuse them', WARNING))
    misnamed = [
        f'{name} is a {size.header.format}'
        for name, size in named
        if size.header and size.size and is_misnamed(name, size.header)
    ]
    if misnamed:
        what = f'{len(misnamed)} {of_all} have the name of another format; they are read as what they are: '
        found.append(Problem(where, what + some(misnamed, 3), 'nothing to do if that is meant', WARNING))
    several = [f'{name} has {size.header.frames}' for name, size in named if size.header and size.header.frames > 1]
    if several:
        what = f'{len(several)} {of_all} hold several pictures, of which the first is read: {some(several, 3)}'
        found.append(Problem(where, what, 'nothing to do if the first one was annotated', WARNING))
    return found


def _shapes(named: Named, of_all: str, where: str) -> list[Problem]:
    sizes = [(name, size.size) for name, size in named if size.size]
    tiny = [name for name, size in sizes if min(size) <= SMALLEST]
    found = []
    if tiny:
        what = f'{len(tiny)} {of_all} have at most {SMALLEST} pixels on a side and show nothing: {some(tiny, 3)}'
        found.append(Problem(where, what, COPY, ERROR, 'image_tiny'))
    for level, least, most in ((ERROR, LONGEST, np.inf), (WARNING, LONG, LONGEST)):
        long = [
            f'{name} is {size[0]}x{size[1]}'
            for name, size in sizes
            if min(size) > SMALLEST and least < max(size) / min(size) <= most
        ]
        if long:
            what = f'{len(long)} {of_all} are more than {least} times as long as wide: resized, little is left of them'
            remedy = 'cut them into pieces'
            found.append(Problem(where, f'{what}: {some(long, 3)}', remedy, level, 'image_long' * (level == ERROR)))
    return found


def _contents(named: Named, folder: Path, of_all: str, where: str, reader: ImageReader) -> list[Problem]:
    """Images of one colour, and those that are nearly black as they are read."""
    seen = [
        (name, size.header.deep, size.pixels)
        for name, size in named
        if size.size and size.header and size.pixels and not size.pixels.damage
    ]
    blank = [name for name, _, pixels in seen if pixels.is_blank]
    found = []
    if blank:
        what = f'{len(blank)} {of_all} are of one colour: {some(blank, 3)}'
        found.append(Problem(where, what, 'nothing to do if they are meant to be empty', WARNING))
    deep = [(name, pixels) for name, is_deep, pixels in seen if is_deep and not pixels.is_blank]
    dark_deep = [name for name, pixels in deep if pixels.high < DEEP_DARK]
    if dark_deep and not _is_bright(folder / dark_deep[0], reader):
        what = f'{len(dark_deep)} {of_all} have more than 8 bits, of which the highest are not used, so that they are '
        what += f'read nearly black: {some(dark_deep, 3)}'
        remedy = "load them with type='swin_mmdet.LoadImageFromFile', bits=12 (those in use), or by --data FOLDER"
        found.append(Problem(where, what, remedy, ERROR if len(dark_deep) * 2 > len(deep) else WARNING, 'image_dark'))
    dark = [name for name, is_deep, pixels in seen if not is_deep and pixels.is_dark and not pixels.is_blank]
    if dark:
        what = f'{count(len(dark), "image")} of {len(named)} in {folder} are nearly black: {some(dark, 3)}'
        found.append(Problem(where, what, 'nothing to do if they were taken in the dark', WARNING))
    return found


def _is_bright(path: Path, reader: ImageReader) -> bool:
    """Whether the pipeline makes a picture of an image with more than 8 bits, or leaves that to later steps."""
    try:
        image = reader.read(path)
    except UnreadableImageError:
        return True  # said already
    return image.dtype != np.uint8 or image.max() >= BRIGHT

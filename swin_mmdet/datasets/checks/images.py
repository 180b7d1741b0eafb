"""Are the images of an annotation file there, can the pipeline read them, and are they as large as the file says?"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from mmengine.logging import print_log

from swin_mmdet.datasets.checks.image_files import image_file_problems
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.coco_file import CocoFile
from swin_mmdet.datasets.image_cache import ImageCache
from swin_mmdet.datasets.image_sizes import ImageSize, image_sizes
from swin_mmdet.datasets.inside_folder import is_inside
from swin_mmdet.datasets.problems import ERROR, WARNING, Problem, some
from swin_mmdet.datasets.read_image import ImageReader

# how names in an annotation file come to differ from those of the files: the difference, and the name as it should be
SPELLINGS = (
    ('have backslashes', lambda name: name.replace('\\', '/')),
    ('are encoded as in URLs', unquote),
    ('write accents in another way (Unicode NFC or NFD)', lambda name: unicodedata.normalize('NFC', name)),
    ('write accents in another way (Unicode NFC or NFD)', lambda name: unicodedata.normalize('NFD', name)),
    ('have spaces at their ends', str.strip),
)
EVERYTHING = CheckOptions()


def image_problems(
    coco: CocoFile,
    folder: Path,
    where: str,
    key: str,
    reader: ImageReader | None = None,
    *,
    may_ignore: bool = False,
    with_masks: bool = False,
    opened: bool = True,
    options: CheckOptions = EVERYTHING,
) -> list[Problem]:
    """Images that are listed but not in `folder`, that `reader` cannot read, damaged ones, or of another size.

    Names that lead out of the folder are not even looked up there.

    Args:
        key: names the folder in the config
        reader: of the pipeline, the usual one by default
        may_ignore: images that the reader ignores are only a warning, as in training
        with_masks: masks are loaded, of which run lengths fit no image of another size
        opened: else only whether they are there
        options: how far to go
    """
    reader = reader or ImageReader()
    if not reader.is_local:
        if opened:
            print_log(f'{where}: images are not checked, they are not on this file system', logger='current')
        return []
    if not folder.is_dir():
        return [Problem(where, f'no such image folder: {folder}', f'set {key} to the folder of the images')]
    if not options.allow_outside and (outside := [name for name in coco.file_names if not is_inside(folder, name)]):
        return [_outside_problem(outside, coco, folder, where, key)]
    missing = missing_files(folder, coco.file_names)
    if not missing and not opened:
        return []
    if not missing:
        return size_problems(coco, folder, where, reader, options, may_ignore=may_ignore, with_masks=with_masks)
    what = f'{len(missing)} of {len(coco.file_names)} images are not in {folder}: {some(missing, 3)}'
    hint = _hint(folder, missing)
    if hint or len(missing) > len(coco.file_names) / 2:
        remedy = f'set {key} so that {key} + file_name is the path of an image{hint}'
    else:
        remedy = 'copy them there, or leave them out: check_dataset.py with --fix OUT writes a copy without them'
    return [Problem(where, what, remedy, WARNING if may_ignore and reader.ignores else ERROR, 'image_missing')]


def _outside_problem(outside: Sequence[str], coco: CocoFile, folder: Path, where: str, key: str) -> Problem:
    what = f'{len(outside)} of {len(coco.file_names)} file names of {coco.path} lead out of {folder}: '
    what += some(outside, 3)
    remedy = f'write names relative to the folder, or set {key} to the folder that holds them all'
    names = [_last_part(name) for name in outside[:3]]
    # what a name that leads out of this folder leads to from another says nothing
    if hint := _hint(folder, names) if folder.is_dir() and missing_files(folder, names) else '':
        remedy += hint
    elif folder.is_dir() and not missing_files(folder, names):
        remedy += f'; there is {names[0]}: write it without what stands before it'
    elif all('://' in name for name in outside[:3]):
        remedy += '; addresses are not fetched: download the images'
    else:
        remedy += '; or allow it with --allow-outside, if you trust the file'
    return Problem(where, what, remedy, ERROR, 'image_outside')


def _last_part(name: str) -> str:
    """Of a path of any system."""
    return name.replace('\\', '/').rstrip('/').rpartition('/')[2]


def missing_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Those that are not in the folder, by one listing of each of its folders."""
    by_folder = defaultdict(list)
    for name in names:
        inner, _, last = name.rpartition('/')
        if last in ('', '.', '..'):
            last = PurePosixPath(name).name
            inner = str(PurePosixPath(name).parent)
        by_folder[inner or '/' * name.startswith('/')].append((last, name))
    missing = []
    for inner, own in by_folder.items():
        try:
            present = {entry.name for entry in os.scandir(folder / inner)}
        except (OSError, ValueError):  # no such folder; a name that no file system takes
            present = set()
        missing += [name for last, name in own if last not in present]
    return missing


def _hint(folder: Path, missing: Sequence[str]) -> str:
    """What is wrong with the names, if the files are there under similar ones."""
    first = PurePosixPath(missing[0])
    if len(first.parts) > 1 and first.parts[0] == folder.name:
        return f"; 'file_name' begins with '{folder.name}/' already, so the folder should be {folder.parent}"
    for difference, corrected in SPELLINGS:
        names = [corrected(name) for name in missing[:3]]
        changed = any(name and name != old for name, old in zip(names, missing))
        if changed and all(is_inside(folder, name) for name in names) and not missing_files(folder, names):
            return f'; the names in the file {difference}: write {some(names, 1)} instead of {missing[0]!r}'
    present = {entry.name for entry in os.scandir(folder)}
    other_case = next((name for name in present if name != first.name and name.lower() == first.name.lower()), None)
    if other_case:
        return f'; there is {other_case}: capital letters matter'
    if first.name in present:
        return f"; {first.name} is in {folder} itself, without the folder that 'file_name' puts before it"
    for sibling in sorted(folder.parent.iterdir()):
        if sibling != folder and sibling.is_dir() and not missing_files(sibling, missing[:3]):
            return f'; {missing[0]} is in {sibling}: are these the annotations of another split?'
    return ''


def size_problems(
    coco: CocoFile,
    folder: Path,
    where: str,
    reader: ImageReader,
    options: CheckOptions,
    *,
    may_ignore: bool = False,
    with_masks: bool = False,
) -> list[Problem]:
    """Files that the pipeline cannot read or that lack pixels, and images of another size than was annotated."""
    if reader.is_guess:
        print_log(f'{where}: images are not opened, for no step of the pipeline reads them', logger='current')
        return []
    # objects of `pathlib` would cost as much as looking at the files
    paths = [os.path.join(folder, name) for name in coco.file_names]
    sizes = image_sizes(paths, reader, pixels=options.pixels, cache=ImageCache(folder, options.cache))
    named = list(zip(coco.file_names, sizes))
    problems = image_file_problems(named, folder, where, reader, may_ignore=may_ignore)
    return problems + _differences(coco, named, where, with_masks)


def _differences(coco: CocoFile, named: Sequence[tuple[str, ImageSize]], where: str, with_masks: bool) -> list[Problem]:
    if len(coco.image_sizes) != len(named):
        return []
    other = [
        (name, loaded.size, (width, height))
        for (name, loaded), (width, height) in zip(named, coco.image_sizes.tolist())
        if loaded.size is not None and width and loaded.size != (width, height)
    ]
    if not other:
        return []
    texts = [f'{name} is {size[0]}x{size[1]}, not {wanted[0]:g}x{wanted[1]:g}' for name, size, wanted in other]
    what = f'{len(other)} images are not as large as {coco.path} says: {some(texts, 3)}'
    remedy = 'use the images that were annotated: boxes would miss the objects'
    if all(size == wanted[::-1] for _, size, wanted in other):
        remedy += (
            '; width and height are exchanged, in the file or by the orientation that a camera wrote (EXIF): if the '
            "objects were drawn on images as they are stored, load them with color_type='color_ignore_orientation'"
        )
    elif all(is_scaled(size, wanted) for _, size, wanted in other):
        remedy += '; or scale boxes, masks and sizes in the file, for these images were made larger or smaller'
    level = ERROR
    if all(max(abs(a - b) for a, b in zip(size, wanted)) <= 1 for _, size, wanted in other):
        level = WARNING  # a border that was rounded in another way
    if with_masks and any(name in coco.rle_images for name, _, _ in other):
        what += '; masks in run lengths cannot be loaded for them'
        level = ERROR
    return [Problem(where, what, remedy, level, 'image_other_size')]


def is_scaled(size: tuple[float, float], wanted: tuple[float, float]) -> bool:
    """Whether an image is another one enlarged or made smaller, but for rounded borders."""
    scales = size[0] / wanted[0], size[1] / wanted[1]
    return abs(scales[0] - scales[1]) * max(wanted) <= 2

"""Are the images of an annotation file there, are they images, and are they as large as the file says?"""

import os
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from PIL import Image, UnidentifiedImageError

from swin_mmdet.datasets.coco_file import CocoFile
from swin_mmdet.datasets.problems import WARNING, Problem, some

READERS = 16
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)  # EXIF: a viewer, and mmcv's reader, turns these by 90 degrees


def image_problems(coco: CocoFile, folder: Path, where: str, key: str) -> list[Problem]:
    """Images that are listed but not in `folder`, no images, or of another size; `key` names the folder in the config.

    Headers are read, not whole images: seconds for a large data set, and it finds what would stop a run hours later.
    """
    if not folder.is_dir():
        return [Problem(where, f'no such image folder: {folder}', f'set {key} to the folder of the images')]
    missing = missing_files(folder, coco.file_names)
    if not missing:
        return header_problems(coco, folder, where)
    what = f'{len(missing)} of {len(coco.file_names)} images are not in {folder}: {some(missing, 3)}'
    hint = ''
    if PurePosixPath(missing[0]).parts[0] == folder.name:
        hint = f"; 'file_name' begins with '{folder.name}/' already, so the folder should be {folder.parent}"
    return [Problem(where, what, f'set {key} so that {key} + file_name is the path of an image{hint}')]


def missing_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Those that are not in the folder, by one listing of each of its folders."""
    by_folder = defaultdict(list)
    for name in names:
        by_folder[str(PurePosixPath(name).parent)].append(name)
    missing = []
    for inner, own in by_folder.items():
        here = folder / inner
        present = {entry.name for entry in os.scandir(here)} if here.is_dir() else set()
        missing += [name for name in own if PurePosixPath(name).name not in present]
    return missing


def header_problems(coco: CocoFile, folder: Path, where: str) -> list[Problem]:
    """Files that are no images, and images of another size than the annotations were made for."""
    with ThreadPoolExecutor(READERS) as pool:
        sizes = list(pool.map(image_size, (folder / name for name in coco.file_names)))
    found = []
    unreadable = [name for name, size in zip(coco.file_names, sizes) if size is None]
    if unreadable:
        what = f'{len(unreadable)} of {len(coco.file_names)} images in {folder} cannot be read: {some(unreadable, 3)}'
        found.append(Problem(where, what, 'copy or download these files again, or remove them from the annotations'))
    if len(coco.image_sizes) == len(sizes):
        expected = map(tuple, coco.image_sizes.tolist())
        other = [
            f'{name} is {size[0]}x{size[1]}, not {wanted[0]:g}x{wanted[1]:g}'
            for name, size, wanted in zip(coco.file_names, sizes, expected)
            if size is not None and size != wanted
        ]
        if other:
            what = f'{len(other)} images are not as large as {coco.path} says: {some(other, 3)}'
            remedy = 'use the images that were annotated: boxes would miss the objects'
            found.append(Problem(where, what, remedy, WARNING))
    return found


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height as mmcv will load the image, from its header; None for anything that is no image."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            turned = image.getexif().get(ORIENTATION) in TURNED
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        return None
    return (height, width) if turned else (width, height)

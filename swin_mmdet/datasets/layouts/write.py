"""COCO files of converted data, alone or in a folder of their own with the images linked or copied."""

import json
import os
import shutil
from pathlib import Path

from swin_mmdet.datasets.layouts.errors import LayoutError
from swin_mmdet.datasets.layouts.folder import DataFolder
from swin_mmdet.progress import with_progress

ANNOTATIONS = 'annotations/instances_{split}2017.json'
IMAGES = '{split}2017'


def write_json(path: Path, content: object) -> None:
    """Whole or not at all: other processes of a training may write the same at this moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        # characters that UTF-8 lacks, as halves of pairs in names, stay escaped
        partial.write_text(json.dumps(content), encoding='utf-8')
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def check_new(out: Path) -> None:
    """Nothing is there that could be overwritten.

    Raises:
        LayoutError: something is.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise LayoutError(f'{out} is there already; name a new folder')


def write_folder(folder: DataFolder, contents: dict[str, dict], out: Path, *, copy: bool = False) -> list[Path]:
    """A COCO folder of these splits, with links to the images or copies of them; the annotation files.

    Raises:
        LayoutError: the folder is not empty, or links cannot be made there.
    """
    check_new(out)
    written = []
    for split, content in contents.items():
        target = out / IMAGES.format(split=split)
        for image in with_progress(content['images'], len(content['images']), f'{split}: images written'):
            _place(folder, image['file_name'], target / image['file_name'], copy)
        path = out / ANNOTATIONS.format(split=split)
        write_json(path, content)
        written.append(path)
    return written


def _place(folder: DataFolder, name: str, target: Path, copy: bool) -> None:
    source = folder.path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return  # listed twice, which the checks will say
    if copy:
        shutil.copyfile(source, target)
        return
    try:
        target.symlink_to(source.resolve())
    except OSError as error:
        raise LayoutError(f'{target}: no link can be made ({error.strerror}); use --copy') from error

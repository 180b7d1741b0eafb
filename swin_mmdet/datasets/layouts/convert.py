"""A folder of data in any layout of `table.LAYOUTS`: as COCO files, or found and converted once for a training."""

import hashlib
import json
import os
import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from swin_mmdet.datasets.discover import CocoFolder, data_sets_near, discover
from swin_mmdet.datasets.layouts.errors import LayoutError, UnknownLayoutError, number
from swin_mmdet.datasets.layouts.folder import DataFolder
from swin_mmdet.datasets.layouts.splits import split_in_two
from swin_mmdet.datasets.layouts.table import find_layout
from swin_mmdet.datasets.layouts.write import ANNOTATIONS, write_json
from swin_mmdet.datasets.problems import count

# of the readers: what an older one has converted is converted again
VERSION = 1
ABOUT = 'about.json'


@dataclass(frozen=True)
class Split:
    """A validation split to make where there is none: `share` of the images is left for training."""

    share: float
    seed: int = 0

    @classmethod
    def read(cls, share: str, seed: int = 0) -> 'Split':
        """Of the words of a command line."""
        return cls(number(share, '--split', 'the share of the images for training'), seed)

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise LayoutError(f'--split {self.share:g}: the share of the images for training lies between 0 and 1')


@dataclass(frozen=True)
class Converted:
    """Split -> content of a COCO file, names of images relative to the folder; how it was read, in sentences."""

    layout: str
    contents: dict[str, dict]
    notes: list[str]


def convert(folder: DataFolder, split: Split | None = None, layout: str | None = None) -> Converted:
    """Read a folder of any layout.

    Raises:
        LayoutError: it is not recognised, or something in it is wrong; names the file and the remedy.
    """
    found = find_layout(folder, layout)
    read = found.read(folder)
    contents = _named(folder, read.cocos())
    notes = list(read.notes)
    if split:
        if 'val' in contents:
            raise LayoutError(f'--split: {folder.root} has images for validation already')
        parts, done = split_in_two(folder, contents.pop('train'), split.share, split.seed)
        contents = parts | contents
        notes.append(done)
    for name, content in contents.items():
        notes.append(f'{name}: {count(len(content["images"]), "image")}, '
                     f'{count(len(content.get("annotations") or ()), "object")}')  # fmt: skip
    return Converted(found.name, contents, notes)


def find_data(
    folder: str | Path, cache: str | Path, split: Split | None = None, layout: str | None = None
) -> CocoFolder:
    """Training and validation data in a folder of any layout; nothing in it is changed.

    COCO files in their usual places are used as they are. Everything else is converted into a folder of `cache`, where
    it is found again as long as no file has changed; its images stay where they are.

    Raises:
        LayoutError, FileNotFoundError, CocoFileError: it cannot be read; says what is there.
    """
    if not split and layout in (None, 'coco'):
        try:
            return discover(folder)
        except FileNotFoundError:
            if not Path(folder).is_dir():
                raise
    data = DataFolder(folder)
    target = Path(cache) / f'{data.root.name}-{_fingerprint(data, split, layout)}'
    if not (target / ABOUT).is_file():
        try:
            converted = convert(data, split, layout)
        except LayoutError as error:
            is_beside = isinstance(error, UnknownLayoutError) or not data.images
            if meant := data_sets_near(data.root) if is_beside else []:
                there = ' or '.join(map(str, meant))
                raise LayoutError(f'no data set in {folder}, but in {there}: name that folder') from error
            raise
        if 'val' not in converted.contents:
            raise LayoutError(
                f'{data.root} ({converted.layout}) has no images for validation. To measure the AP, some must be kept '
                'from training: add --split 0.8 to keep a fifth, or put them into a folder or file named val'
            )
        about: dict[str, Any] = {'notes': [f'{data.root} is read as {converted.layout}', *converted.notes]}
        for name in ('train', 'val'):
            about[name], content = _from_common_folder(converted.contents[name])
            write_json(target / ANNOTATIONS.format(split=name), content)
        write_json(target / ABOUT, about)
    about = json.loads((target / ABOUT).read_text())
    for note in about['notes']:
        print_log(f'data: {note}', logger='current')
    train, val = (target.absolute() / ANNOTATIONS.format(split=name) for name in ('train', 'val'))
    images = {f'{name}_images': data.root / about[name] for name in ('train', 'val')}
    return discover(target, train_ann=train, val_ann=val, **images)


def _from_common_folder(content: dict) -> tuple[str, dict]:
    """The deepest folder that has all images, and the content with names relative to it."""
    common = posixpath.commonpath([posixpath.dirname(image['file_name']) for image in content['images']])
    images = [
        image | {'file_name': posixpath.relpath(image['file_name'], common or '.')} for image in content['images']
    ]
    return common, content | {'images': images}


def _named(folder: DataFolder, contents: dict[str, dict]) -> dict[str, dict]:
    """Images that nothing calls a split's are for training, where no others are."""
    if '' in contents:
        if 'train' in contents:
            some = contents['']['images'][0]['file_name']
            raise LayoutError(f'{folder.root}: there are images for training, and {len(contents[""]["images"])} of no '
                              f'split, such as {some}; move these into the folder of a split')  # fmt: skip
        contents = {name or 'train': content for name, content in contents.items()}
    if not contents:
        raise LayoutError(f'{folder.root}: there are annotations, but of no image')
    if 'train' not in contents:
        raise LayoutError(f'{folder.root}: there are images for {" and ".join(contents)} alone, none for training')
    return {name: contents[name] for name in ('train', 'val', 'test') if name in contents}


def _fingerprint(folder: DataFolder, split: Split | None, layout: str | None) -> str:
    """Of all that a conversion depends on: names, sizes and times of the files."""
    digest = hashlib.sha1(repr((VERSION, str(folder.root), split, layout)).encode(), usedforsecurity=False)
    for name in folder.files:
        status = os.stat(folder.path(name)) if os.path.exists(folder.path(name)) else None
        digest.update(repr((name, status and (status.st_size, status.st_mtime_ns))).encode(errors='replace'))
    return digest.hexdigest()[:12]

"""Do training and evaluation see different images, and each the annotations of its own?"""

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.coco_file import CocoFile
from swin_mmdet.datasets.inside_folder import is_inside
from swin_mmdet.datasets.problems import ERROR, WARNING, Problem, some
from swin_mmdet.progress import with_progress

KEPT = 'keep images for the evaluation that the training does not see; else the AP tells nothing of new images'


@dataclass(frozen=True)
class Part:
    """One data set of a run: `split` 'train', 'val' or 'test', and `where` it is named."""

    split: str
    where: str
    coco: CocoFile
    images: Path


def split_problems(parts: Sequence[Part], options: CheckOptions) -> list[Problem]:
    """Files and images that training shares with evaluation."""
    trained = [part for part in parts if part.split == 'train']
    found = []
    for part in parts:
        for train in trained if part.split != 'train' else ():
            found += _same_file(train, part) or _same_images(train, part, options)
    return found


def _same_file(train: Part, part: Part) -> list[Problem]:
    if not _is_same_text(train.coco.path, part.coco.path):
        return []
    what = f'it has the annotations of {train.where}: {part.coco.path}'
    if train.images.resolve() == part.images.resolve():
        return [Problem(part.where, what, KEPT, WARNING, 'split_shared')]
    what += f', but its images are in {part.images}, those of {train.where} in {train.images}'
    return [Problem(part.where, what, 'give each split the annotations of its images', ERROR, 'split_file')]


def _is_same_text(path: Path, other: Path) -> bool:
    if path == other:
        return True
    return path.stat().st_size == other.stat().st_size and path.read_bytes() == other.read_bytes()


def _same_images(train: Part, part: Part, options: CheckOptions) -> list[Problem]:
    ours, theirs = _paths(part, options), _paths(train, options)
    here = set(theirs)
    shared = [path for path in ours if path in here]
    how = ''
    if not shared and options.pixels:
        shared, how = _same_content(ours, theirs), ' (other names, same bytes)'
    if not shared:
        return []
    names = some([path.name for path in shared], 3)
    what = f'{len(shared)} of its {len(ours)} images are images of {train.where}, too{how}: {names}'
    return [Problem(part.where, what, KEPT, WARNING, 'split_shared')]


def _paths(part: Part, options: CheckOptions) -> list[Path]:
    """Of the images that may be opened."""
    names = [name for name in part.coco.file_names if options.allow_outside or is_inside(part.images, name)]
    folders: dict[str, str] = {}
    found = []
    for name in names:
        inner, last = os.path.split(os.path.join(part.images, name))
        if inner not in folders:
            folders[inner] = os.path.realpath(inner)
        path = os.path.join(folders[inner], last)
        found.append(Path(os.path.realpath(path) if os.path.islink(path) or last in ('', '.', '..') else path))
    return found


def _same_content(ours: Iterable[Path], theirs: Sequence[Path]) -> list[Path]:
    by_size = defaultdict(list)
    for path in theirs:
        if size := _size(path):
            by_size[size].append(path)
    candidates = [(path, by_size[size]) for path in ours if (size := _size(path)) in by_size]
    known: dict[Path, bytes] = {}

    def digest(path: Path) -> bytes:
        if path not in known:
            known[path] = hashlib.blake2b(path.read_bytes()).digest()
        return known[path]

    return [
        path
        for path, others in with_progress(candidates, len(candidates), 'images compared')
        if any(digest(path) == digest(other) for other in others)
    ]


def _size(path: Path) -> int:
    """In bytes, 0 where there is no file."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0

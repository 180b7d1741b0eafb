"""A part of the images kept for validation, in groups: what belongs together stays on one side.

Together belong copies (equal files; augmented ones of Roboflow, `NAME.rf.HASH`; `NAME (1)`), and images of one scene,
video or slide by their names: those that differ in their last number alone.
"""

import hashlib
import posixpath
import random
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable

from swin_mmdet.datasets.layouts.errors import LayoutError
from swin_mmdet.datasets.layouts.folder import DataFolder, stem

COPY = re.compile(r'(\.rf\.[0-9a-zA-Z]+|_aug\w*|_flip\w*|_rot\w*|[ _-]*\(\d+\)|[ _-]copy\d*)+$')
SUFFIX_OF_COPY = re.compile(r'_(jpe?g|png|bmp|tiff?|webp)$', re.IGNORECASE)  # Roboflow's, of the file before
COUNTER = re.compile(r'[\s_\-.]*\d+$')
FEWEST_GROUPS = 8
TRIES = 50


def split_in_two(folder: DataFolder, coco: dict, share: float, seed: int) -> tuple[dict[str, dict], str]:
    """{'train': ..., 'val': ...} of one COCO content, with this share of the images for training; and what was done.

    Of several random divisions the one is taken that leaves the fewest classes out of a side.

    Raises:
        LayoutError: there are too few images.
    """
    names = list(dict.fromkeys(image['file_name'] for image in coco['images']))
    if len(names) < 2:
        raise LayoutError(f'{folder.root}: {len(names)} image cannot be split in two')
    groups, kind = _groups(folder, names, 1 - share)
    classes = _classes_of_images(coco)
    best: tuple[tuple[int, float], set[str]] | None = None
    for attempt in range(TRIES):
        val = _chosen(groups, len(names) * (1 - share), random.Random(f'{seed} {attempt}'))
        sides = [Counter(), Counter()]
        for name in names:
            sides[name in val].update(classes.get(name, ()))
        score = len(sides[0].keys() ^ sides[1].keys()), abs(len(val) - len(names) * (1 - share))
        if best is None or score < best[0]:
            best = score, val
    assert best is not None
    (alone, _), val = best
    done = (f'{len(names) - len(val)} images for training, {len(val)} for validation, split with seed {seed} in '
            f'{len(groups)} groups of {kind}')  # fmt: skip
    if alone:
        done += f'; {alone} of the classes are on one side only'
    return {'train': _part(coco, set(names) - val), 'val': _part(coco, val)}, done


def _groups(folder: DataFolder, names: list[str], share: float) -> tuple[list[list[str]], str]:
    """Images of like names, unless these are too few groups to be shared out: then copies alone."""
    for kind, key in (('like names', _scene), ('copies', _original)):
        groups = _joined(folder, names, key)
        room = max(share * len(names) * 1.5, 1)
        fit = sum(len(group) for group in groups if len(group) <= room)
        if len(groups) >= min(FEWEST_GROUPS, len(names) // 2) and fit >= share * len(names) * 0.5:
            return groups, kind
    if len(groups) < 2:
        raise LayoutError(f'{folder.root}: all {len(names)} images are copies of one, by names or contents: no '
                          'split of them can measure anything')  # fmt: skip
    return groups, kind


def _joined(folder: DataFolder, names: list[str], key) -> list[list[str]]:
    """Groups of equal keys, joined where they share a content."""
    parent: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        while parent.setdefault(node, node) != node:
            parent[node] = node = parent[parent[node]]
        return node

    contents = _equal_files(folder, names)
    for name in names:
        for other in ('key', key(name)), ('content', contents.get(name)):
            if other[1] is not None:
                parent[root(other)] = root(('name', name))
    groups = defaultdict(list)
    for name in names:
        groups[root(('name', name))].append(name)
    return sorted(groups.values())


def _equal_files(folder: DataFolder, names: list[str]) -> dict[str, str]:
    """Name -> hash of the content, for files of a size that others have as well."""
    by_size = defaultdict(list)
    for name in names:
        path = folder.path(name)
        by_size[path.stat().st_size if path.is_file() else None].append(name)
    by_size.pop(None, None)
    same = [name for group in by_size.values() if len(group) > 1 for name in group]
    return {name: hashlib.sha1(folder.path(name).read_bytes(), usedforsecurity=False).hexdigest() for name in same}


def _original(name: str) -> str:
    """The name without what marks a copy."""
    folder, base = posixpath.split(name)
    return posixpath.join(folder, SUFFIX_OF_COPY.sub('', COPY.sub('', stem(base))))


def _scene(name: str) -> str:
    """The name without what marks a copy and without its last number; a name that is a number alone stays."""
    original = _original(name)
    scene = COUNTER.sub('', original)
    return scene if posixpath.basename(scene) else original


def _chosen(groups: list[list[str]], wanted: float, chance: random.Random) -> set[str]:
    """Whole groups at random, as many as come nearest to the wanted number of images; at least one, never all."""
    order = chance.sample(groups, len(groups))
    chosen, number = [], 0
    for group in order:
        if abs(number + len(group) - wanted) < abs(number - wanted) and len(chosen) < len(groups) - 1:
            chosen.append(group)
            number += len(group)
    return {name for group in chosen or [min(order, key=len)] for name in group}


def _classes_of_images(coco: dict) -> dict[str, set]:
    names = {_id(image): image['file_name'] for image in coco['images']}
    found: dict[str, set] = defaultdict(set)
    for ann in coco.get('annotations') or ():
        if isinstance(ann, dict) and (image := names.get(str(ann.get('image_id')))) is not None:
            found[image].add(str(ann.get('category_id')))
    return found


def _id(image: dict) -> str:
    # as text: files with faults have lists there
    return str(image.get('id'))


def _part(coco: dict, names: Iterable[str]) -> dict:
    """The images of these names with their annotations; everything else is kept."""
    images = [image for image in coco['images'] if image['file_name'] in names]
    ids = {_id(image) for image in images}
    kept = [ann for ann in coco.get('annotations') or () if isinstance(ann, dict) and str(ann.get('image_id')) in ids]
    return coco | {'images': images, 'annotations': kept}

"""Read a COCO annotation file once and keep what checks and descriptions need: names, counts, sizes and faults."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

IMAGE_KEYS = ('id', 'file_name', 'height', 'width')


class CocoFileError(ValueError):
    """The file cannot be read as COCO annotations."""


@dataclass
class Fault:
    """How often something is wrong, and the ids of the first images or annotations where it is."""

    count: int = 0
    examples: list = field(default_factory=list)

    def add(self, example: object) -> None:
        self.count += 1
        if len(self.examples) < 3:
            self.examples.append(example)


@dataclass(frozen=True)
class CocoFile:
    """What an annotation file holds.

    file_names: of the images, in the order of the file.
    image_sizes: [images, 2] and box_sizes: [boxes, 2], width and height in pixels.
    categories: (id, name) in the order of the file, which is the order of mmdet's labels.
    parents: names that categories give as their 'supercategory'.
    instances: category id -> number of annotations, crowds included.
    num_usable: annotations that mmdet's CocoDataset does not skip.
    faults: kind -> Fault; the kinds are explained in `file_problems.RULES`.
    """

    path: Path
    file_names: tuple[str, ...]
    image_sizes: np.ndarray
    box_sizes: np.ndarray
    categories: tuple[tuple[int, str], ...]
    parents: frozenset[str]
    instances: Counter
    num_annotations: int
    num_crowds: int
    num_empty_images: int
    num_usable: int
    faults: dict[str, Fault]

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.categories)

    def classes_for(self, wanted: Sequence[str] = ()) -> tuple[str, ...]:
        """Names of the categories, without one that is only above all others unless it is wanted."""
        return tuple(name for id, name in self.categories if name in wanted or not self.is_root(id, name))

    def is_root(self, category: int, name: str) -> bool:
        """Whether a category is the empty one that Roboflow writes above all others: no class of the data."""
        return category == 0 and name in self.parents and not self.instances[category]


def read_coco(path: str | Path) -> CocoFile:
    """Read and summarise an annotation file; a file that has not changed since the last time is not parsed again.

    Raises:
        CocoFileError: no such file, no valid JSON, or no lists of 'images' and 'categories' in it.
    """
    path = Path(path)
    if not path.is_file():
        raise CocoFileError(f'no such file: {path}')
    status = path.stat()
    return _read(path.resolve(), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=16)
def _read(path: Path, _mtime: int, _size: int) -> CocoFile:
    try:
        data = json.loads(path.read_bytes())
    except ValueError as error:
        raise CocoFileError(f'{path} is not valid JSON: {error}') from error
    if not isinstance(data, dict):
        raise CocoFileError(f'{path} is no COCO annotation file: it holds a {type(data).__name__}, not an object')
    data.setdefault('annotations', [])  # files of test images have none
    for key in ('images', 'categories', 'annotations'):
        items = data.get(key)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise CocoFileError(f"{path} is no COCO annotation file: '{key}' is no list of objects")
    return _summarise(path, data['images'], data['categories'], data['annotations'])


def _summarise(path: Path, images: list[dict], categories: list[dict], annotations: list[dict]) -> CocoFile:
    faults: dict[str, Fault] = {}

    def fault(kind: str, example: object) -> None:
        faults.setdefault(kind, Fault()).add(example)

    sizes: dict = {}
    for index, image in enumerate(images):
        if any(key not in image for key in IMAGE_KEYS):
            fault('image_keys', image.get('id', f'number {index}'))
        if image.get('id') in sizes:
            fault('image_id_twice', image.get('id'))
        sizes[image.get('id')] = (image.get('width') or 0, image.get('height') or 0)
    category_ids = {category.get('id') for category in categories}

    annotated, ids, boxes, usable, crowds = set(), set(), [], 0, 0
    for index, ann in enumerate(annotations):
        ann_id = ann.get('id', f'number {index}')
        if ann_id in ids or 'id' not in ann:
            fault('annotation_id_twice' if 'id' in ann else 'annotation_id_missing', ann_id)
        if ann_id == 0:
            fault('annotation_id_zero', ann_id)
        ids.add(ann_id)
        annotated.add(ann.get('image_id'))
        crowds += bool(ann.get('iscrowd'))
        kinds = _faults_of(ann, sizes, category_ids)
        for kind in kinds:
            fault(kind, ann_id)
        usable += not SKIPPED & set(kinds)
        if not {'box', 'image_unknown'} & set(kinds):
            boxes.append(ann['bbox'][2:])
    return CocoFile(
        path=path,
        file_names=tuple(str(image.get('file_name', '')) for image in images),
        image_sizes=np.array(list(sizes.values()), dtype=float).reshape(-1, 2),
        box_sizes=np.array(boxes, dtype=float).reshape(-1, 2),
        categories=tuple((category.get('id'), str(category.get('name'))) for category in categories),
        parents=frozenset(category.get('supercategory') for category in categories),
        instances=Counter(ann.get('category_id') for ann in annotations),
        num_annotations=len(annotations),
        num_crowds=crowds,
        num_empty_images=len(sizes.keys() - annotated),
        num_usable=usable,
        faults=faults,
    )


# an annotation with one of these is left out by mmdet's CocoDataset, or stops it
SKIPPED = {
    'image_unknown', 'category_unknown', 'box', 'box_small', 'box_outside', 'area_missing', 'area_zero', 'ignored',
}


def _faults_of(ann: dict, sizes: dict, category_ids: set) -> list[str]:
    kinds = []
    if ann.get('image_id') not in sizes:
        kinds.append('image_unknown')
    if ann.get('category_id') not in category_ids:
        kinds.append('category_unknown')
    if ann.get('ignore'):
        kinds.append('ignored')
    if 'iscrowd' not in ann:
        kinds.append('iscrowd_missing')
    if ann.get('area') is None:
        kinds.append('area_missing')
    elif ann['area'] <= 0:
        kinds.append('area_zero')
    if 'image_unknown' in kinds:
        return kinds  # without its image, box and mask cannot be judged
    width, height = sizes[ann['image_id']]
    return kinds + _box_faults(ann.get('bbox'), width, height) + _mask_faults(ann.get('segmentation'), width, height)


def _box_faults(box: object, width: float, height: float) -> list[str]:
    if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
        return ['box']
    x, y, w, h = box
    if w < 1 or h < 1:
        return ['box_small']
    if min(x + w, width) <= max(x, 0) or min(y + h, height) <= max(y, 0):
        return ['box_outside']
    # a box may touch the border; rounding moves it over by less than two pixels
    return ['box_beyond'] if x + w > width + 2 or y + h > height + 2 else []


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _mask_faults(mask: object, width: float, height: float) -> list[str]:
    if not mask:
        return ['mask_missing']
    if isinstance(mask, dict):
        if not mask.get('counts') or not mask.get('size'):
            return ['mask_unreadable']
        return [] if list(mask['size']) == [height, width] else ['mask_size']
    readable = any(isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in mask)
    return [] if readable else ['mask_unreadable']

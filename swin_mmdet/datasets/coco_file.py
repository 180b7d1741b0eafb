"""Read a COCO annotation file once and keep what checks and descriptions need: names, counts, sizes and faults."""

import json
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from swin_mmdet.datasets.faults import SKIPPED, annotation_faults, category_faults, image_faults, is_id


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
    image_sizes: [images, 2] and box_sizes: [boxes, 2], width and height in pixels, 0 where an image has none.
    categories: (id, name) in the order of the file, which is the order of mmdet's labels.
    parents: names that categories give as their 'supercategory'.
    instances: category id -> number of annotations, crowds included.
    num_usable: annotations that mmdet's CocoDataset does not skip.
    num_rle_objects: objects, not crowds, with a mask in run lengths.
    rle_images: file names of images with a mask in run lengths.
    faults: kind -> Fault; the kinds are explained in `checks.annotations.RULES`.
    """

    path: Path
    file_names: tuple[str, ...]
    image_sizes: np.ndarray
    box_sizes: np.ndarray
    categories: tuple[tuple[Hashable, str], ...]
    parents: frozenset[str]
    instances: Counter
    num_annotations: int
    num_crowds: int
    num_empty_images: int
    num_usable: int
    num_rle_objects: int
    rle_images: frozenset[str]
    faults: dict[str, Fault]

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.categories)

    def classes_for(self, wanted: Sequence[str] = ()) -> tuple[str, ...]:
        """Names of the categories, without one that is only above all others unless it is wanted."""
        return tuple(name for id, name in self.categories if name in wanted or not self.is_root(id, name))

    def is_root(self, category: Hashable, name: str) -> bool:
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
        # as the loader decodes it, which refuses the mark that Windows' editors put first
        data = json.loads(path.read_bytes().decode())
    except (ValueError, RecursionError) as error:
        bom = '; save it as UTF-8 without a byte order mark' if 'BOM' in str(error) else ''
        raise CocoFileError(f'{path} is not valid JSON: {error}{bom}') from error
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

    def note(kinds: list[str], example: object) -> None:
        for kind in kinds:
            faults.setdefault(kind, Fault()).add(example)

    sizes: dict[Hashable, tuple[float, float] | None] = {}  # by id, None where they are no sizes
    for index, image in enumerate(images):
        kinds = image_faults(image, sizes)
        id = image['id'] if is_id(image.get('id')) else f'number {index}'
        note(kinds, id)
        sizes[id] = None if {'image_keys', 'image_size'} & set(kinds) else (image['width'], image['height'])

    names: dict[Hashable, str] = {}
    for index, category in enumerate(categories):
        id = category['id'] if is_id(category.get('id')) else f'number {index}'
        note(category_faults(category, names), id)
        names[id] = str(category.get('name'))

    annotated, with_rle, ids, boxes, instances = set(), set(), set(), [], Counter()
    usable = crowds = rle_objects = 0
    for index, ann in enumerate(annotations):
        kinds = annotation_faults(ann, sizes, names, ids)
        id = ann['id'] if is_id(ann.get('id')) else f'number {index}'
        note(kinds, id)
        ids.add(id)
        if 'annotation_of' not in kinds:
            annotated.add(ann['image_id'])
            instances[ann['category_id']] += 1
            if isinstance(ann.get('segmentation'), dict):
                with_rle.add(ann['image_id'])
                rle_objects += not ann.get('iscrowd')
        crowds += bool(ann.get('iscrowd'))
        usable += not SKIPPED & set(kinds)
        if not {'box', 'image_unknown', 'annotation_of'} & set(kinds):
            boxes.append(ann['bbox'][2:])
    return CocoFile(
        path=path,
        file_names=tuple(str(image.get('file_name', '')) for image in images),
        image_sizes=np.array([size or (0, 0) for size in sizes.values()], dtype=float).reshape(-1, 2),
        box_sizes=np.array(boxes, dtype=float).reshape(-1, 2),
        categories=tuple((_shown_id(category), str(category.get('name'))) for category in categories),
        parents=frozenset(str(category.get('supercategory')) for category in categories),
        instances=instances,
        num_annotations=len(annotations),
        num_crowds=crowds,
        num_empty_images=len(sizes.keys() - annotated),
        num_usable=usable,
        num_rle_objects=rle_objects,
        rle_images=frozenset(str(image.get('file_name')) for image in images if _shown_id(image) in with_rle),
        faults=faults,
    )


def _shown_id(item: dict) -> Hashable:
    id = item.get('id')
    return id if is_id(id) else str(id)

"""What is wrong with one image, category or annotation of a COCO file: names of faults, explained in `checks`.

Judged by what mmdet's dataset and its loading of annotations do: a fault stops them, makes them skip the annotation, or
gives it another meaning than was meant.
"""

from collections.abc import Collection, Container
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeGuard

IMAGE_KEYS = ('id', 'file_name', 'height', 'width')
# larger numbers are no sizes, ids or places in an image
LARGEST = 1e15
# an annotation with one of these is left out by mmdet's CocoDataset, or stops it
SKIPPED = {
    'annotation_of', 'image_unknown', 'category_unknown', 'box', 'box_small', 'box_outside', 'area_missing',
    'area_value', 'area_zero', 'ignored', 'ignore_value', 'image_id_type', 'category_id_type',
}  # fmt: skip


def is_number(value: object) -> bool:
    """A finite number; not one of NaN, infinity, text or null, all of which JSON files have in the place of numbers."""
    return isinstance(value, (int, float)) and -LARGEST < value < LARGEST


def is_id(value: object) -> bool:
    """A number or text: what mmdet can look up."""
    return isinstance(value, str) or (isinstance(value, (int, float)) and value == value)


def is_flag(value: object) -> bool:
    """Nothing, 0, 1, false or true; text would always count as true."""
    return value is None or (isinstance(value, (int, float)) and value in (0, 1))


def image_faults(image: dict, others: Container) -> list[str]:
    """Of an image, with the ids of those before it."""
    kinds = []
    if any(key not in image for key in IMAGE_KEYS):
        kinds.append('image_keys')
    id, name = image.get('id'), image.get('file_name', 'missing')
    if not is_id(id) and 'id' in image:
        kinds.append('image_id')
    elif is_id(id) and id in others:
        kinds.append('image_id_twice')
    if not isinstance(name, str) or not name.strip():
        kinds.append('image_name')
    if any(not is_number(image.get(side, 1)) or image.get(side, 1) < 1 for side in ('width', 'height')):
        kinds.append('image_size')
    return kinds


def category_faults(category: dict, others: Container) -> list[str]:
    """Of a category, with the ids of those before it."""
    id, name = category.get('id'), category.get('name')
    if not is_id(id) or not isinstance(name, str) or not name.strip():
        return ['category_keys']
    return ['category_id_twice'] if id in others else []


def spelt(id: object) -> str:
    """An id as text: 7, 7.0 and '7' are the same to whoever wrote them, and not to mmdet."""
    if isinstance(id, float) and id.is_integer():
        id = int(id)
    return str(id).strip()


@dataclass(frozen=True)
class Known:
    """What an annotation may name, and what those before it have.

    sizes: (width, height) or None of each image by its id.
    categories: ids of the categories.
    annotations: ids of the annotations so far.
    """

    sizes: dict
    categories: Collection
    annotations: set = field(default_factory=set)

    @cached_property
    def image_spellings(self) -> set[str]:
        return set(map(spelt, self.sizes))

    @cached_property
    def category_spellings(self) -> set[str]:
        return set(map(spelt, self.categories))


def annotation_faults(ann: dict, known: Known) -> list[str]:
    """Of an annotation, without its mask."""
    kinds = _id_faults(ann, known.annotations) + _flag_faults(ann) + _area_faults(ann)
    image, category = ann.get('image_id'), ann.get('category_id')
    if not is_id(image) or not is_id(category):
        return [*kinds, 'annotation_of']
    if category not in known.categories:
        kinds.append('category_id_type' if spelt(category) in known.category_spellings else 'category_unknown')
    if image not in known.sizes:
        return [*kinds, 'image_id_type' if spelt(image) in known.image_spellings else 'image_unknown']
    box, size = ann.get('bbox'), known.sizes[image]
    if not is_box(box):
        kinds.append('box')
    elif size is not None:
        kinds += _box_faults(box, *size)
    return kinds


def is_box(box: object) -> TypeGuard[list[float]]:
    """Four numbers."""
    return isinstance(box, list) and len(box) == 4 and all(is_number(value) for value in box)


def _id_faults(ann: dict, others: Container) -> list[str]:
    id = ann.get('id')
    if 'id' not in ann:
        return ['annotation_id_missing']
    if not is_id(id):
        return ['annotation_id']
    kinds = ['annotation_id_twice'] if id in others else []
    return [*kinds, 'annotation_id_zero'] if id == 0 else kinds


def _flag_faults(ann: dict) -> list[str]:
    kinds = []
    if not is_flag(ann.get('ignore')):
        kinds.append('ignore_value')
    elif ann.get('ignore'):
        kinds.append('ignored')
    if not is_flag(ann.get('iscrowd')):
        kinds.append('iscrowd_value')
    elif ann.get('iscrowd') is None:
        kinds.append('iscrowd_missing')
    return kinds


def _area_faults(ann: dict) -> list[str]:
    area = ann.get('area')
    if area is None:
        return ['area_missing']
    if not is_number(area):
        return ['area_value']
    return ['area_zero'] if area <= 0 else []


def _box_faults(box: list[float], width: float, height: float) -> list[str]:
    x, y, w, h = box
    if w < 1 or h < 1:
        return ['box_small']
    if min(x + w, width) <= max(x, 0) or min(y + h, height) <= max(y, 0):
        return ['box_outside']
    # a box may touch the border; rounding moves it over by less than two pixels
    return ['box_beyond'] if x + w > width + 2 or y + h > height + 2 or x < -2 or y < -2 else []

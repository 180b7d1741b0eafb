"""Entries of images put right: names, sizes and doubles; those without an image are left out."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swin_mmdet.datasets.checks.images import SPELLINGS, is_scaled
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.coco_file import shown_id
from swin_mmdet.datasets.faults import is_box, is_id, is_number
from swin_mmdet.datasets.image_cache import ImageCache
from swin_mmdet.datasets.image_sizes import ImageSize, image_sizes
from swin_mmdet.datasets.inside_folder import is_inside
from swin_mmdet.datasets.mask_boxes import judged_mask
from swin_mmdet.datasets.problems import count
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.datasets.repair.change import Changes
from swin_mmdet.datasets.repair.masks import scaled

SMALLEST = 2


@dataclass(frozen=True)
class Folder:
    """Where images are, and how the pipeline reads them."""

    path: Path
    reader: ImageReader
    options: CheckOptions

    def has(self, name: str) -> bool:
        """Whether there is such a file, of a name that may be looked up."""
        allowed = self.options.allow_outside or is_inside(self.path, name)
        return allowed and '\0' not in name and (self.path / name).is_file()


def repair_images(data: dict, folder: Folder, note: Changes) -> None:
    """In place; annotations of another size are scaled, and those of doubles join the first."""
    images = [image for index, image in enumerate(data['images']) if _name(image, index, folder, note)]
    images = _without_doubles(images, data['annotations'], note)
    paths = [folder.path / image['file_name'] for image in images]
    cache = ImageCache(folder.path, folder.options.cache)
    seen = image_sizes(paths, folder.reader, pixels=folder.options.pixels, cache=cache)
    by_image: dict[Hashable, list[dict]] = {}
    for ann in data['annotations']:
        if is_id(ann.get('image_id')):
            by_image.setdefault(ann['image_id'], []).append(ann)
    data['images'] = [
        image for image, found in zip(images, seen) if _size(image, found, by_image.get(image['id'], []), note)
    ]


def _name(image: dict, index: int, folder: Folder, note: Changes) -> bool:
    """Whether an image is there, perhaps under a name that is spelt in another way."""
    name, id = image.get('file_name'), f'image {shown_id(image, index)}'
    if not isinstance(name, str) or not is_id(image.get('id')):
        note('image_keys', id, 'left out: it has no file_name or no id')
        return False
    if folder.has(name):
        return True
    last = name.replace('\\', '/').rstrip('/').rpartition('/')[2]
    for other in [*(spell(name) for _, spell in SPELLINGS), last]:
        if other and other != name and folder.has(other):
            note('image_missing', id, f'file_name {name!r} written as {other!r}')
            image['file_name'] = other
            return True
    note('image_missing', id, f'left out: there is no {name!r} in the folder of the images')
    return False


def _without_doubles(images: list[dict], annotations: list[dict], note: Changes) -> list[dict]:
    first: dict[str, Hashable] = {}
    instead: dict[Hashable, Hashable] = {}
    kept = []
    for image in images:
        name, id = image['file_name'], image['id']
        if name in first and id not in instead and id != first[name]:
            instead[id] = first[name]
            note('image_name_twice', f'image {id}', f'joined with image {first[name]}, of the same file')
            continue
        first.setdefault(name, id)
        kept.append(image)
    for ann in annotations:
        if is_id(ann.get('image_id')) and ann['image_id'] in instead:
            ann['image_id'] = instead[ann['image_id']]
    return kept


def _size(image: dict, found: ImageSize, annotations: list[dict], note: Changes) -> bool:
    """Whether the image can be used; its size is that of the file."""
    name, size = f'image {image["id"]}', found.size
    if found.is_cut_off or size is None or min(size) <= SMALLEST:
        note('image_unreadable', name, f'left out: {image["file_name"]} {found.reason or "is cut off or tiny"}')
        return False
    width, height = _number(image.get('width')), _number(image.get('height'))
    wanted = width, height
    if wanted == size and all(is_number(image.get(side)) for side in ('width', 'height')):
        return True
    if width is not None and height is not None and wanted != size and not _same_place(wanted, size, found):
        if not is_scaled(size, (width, height)):
            return True  # other images than those that were annotated: nothing to be done here
        x, y = size[0] / width, size[1] / height
        for ann in annotations:
            _scale(ann, (width, height), x, y)
        note('image_other_size', name, f'{count(len(annotations), "annotation")} scaled by {x:.4g} x {y:.4g}')
    before = image.get('width'), image.get('height')
    note('image_size', name, f'width and height {before} written as {size}')
    image['width'], image['height'] = size
    return True


def _same_place(wanted: tuple, size: tuple[int, int], found: ImageSize) -> bool:
    """Whether only the numbers of width and height are exchanged, in a file that nothing turns."""
    turned = found.header is not None and found.header.kind[2] not in (None, 1)
    return wanted == size[::-1] and not turned


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if is_number(number) and number >= 1 else None


def _scale(ann: dict, size: tuple[float, float], x: float, y: float) -> None:
    """From an image of `size` to one that is larger by x and y."""
    if is_box(ann.get('bbox')):
        ann['bbox'] = [value * (y if index % 2 else x) for index, value in enumerate(ann['bbox'])]
    if is_number(ann.get('area')):
        ann['area'] *= x * y
    if not judged_mask(ann.get('segmentation'), size[1], size[0])[0]:
        ann['segmentation'] = scaled(ann['segmentation'], x, y)

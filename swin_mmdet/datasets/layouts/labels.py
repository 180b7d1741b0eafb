"""What a reader of a layout collects: classes, and images with their objects for each split; it ends as COCO files."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from swin_mmdet.datasets.image_sizes import image_sizes
from swin_mmdet.datasets.layouts.errors import LayoutError
from swin_mmdet.datasets.layouts.folder import DataFolder
from swin_mmdet.datasets.layouts.outlines import area_of, box_of, box_of_bitmap, run_lengths
from swin_mmdet.datasets.problems import count, some
from swin_mmdet.datasets.read_image import ImageReader

MOST_PIXELS = 10**9  # of an image


@dataclass
class LabelledImage:
    """An image and its objects, which are COCO's annotations with a name of a class in the place of ids.

    size: width and height, None where the annotations do not say them.
    """

    file_name: str
    size: tuple[int, int] | None
    objects: list[tuple[str, dict]] = field(default_factory=list)

    @property
    def known_size(self) -> tuple[int, int]:
        """Width and height, of an image that has them by now."""
        assert self.size is not None, self.file_name
        return self.size

    def add_box(self, label: str, box: Sequence[float], *, crowd: bool = False) -> None:
        """An object without a mask. box: [x, y, width, height]."""
        area = round(box[2] * box[3], 2)
        self.objects.append((label, {'bbox': list(box), 'area': area, 'iscrowd': int(crowd)}))

    def add_polygons(self, label: str, polygons: Sequence[Sequence[float]]) -> None:
        """An object of one or several parts. polygons: each [x, y, x, y, ...]."""
        outline = {'bbox': box_of(polygons), 'area': area_of(polygons), 'iscrowd': 0}
        self.objects.append((label, outline | {'segmentation': [list(polygon) for polygon in polygons]}))

    def add_bitmap(self, label: str, bitmap: np.ndarray) -> None:
        """An object of the set pixels of [height, width]."""
        outline = {'bbox': box_of_bitmap(bitmap), 'area': float(bitmap.sum()), 'iscrowd': 0}
        self.objects.append((label, outline | {'segmentation': run_lengths(bitmap)}))


class Labels:
    """Images and objects of a folder.

    classes: in their order; without any, those of the objects in the order of the alphabet.
    notes: what a user should know of the reading: of what was left out, and why.
    """

    def __init__(self, folder: DataFolder, classes: Iterable[str] = ()) -> None:
        self.folder = folder
        self.classes = [str(name) for name in classes]
        self.splits: dict[str, dict[str, LabelledImage]] = {}
        self.notes: list[str] = []
        self._missing: list[str] = []
        self._left_out: Counter[str] = Counter()
        twice = [name for name, number in Counter(self.classes).items() if number > 1]
        if twice:
            raise LayoutError(f'{folder.root}: two classes are named {some(twice, 3)}; give each a name of its own')

    def image(self, split: str, file_name: str | None, named: str, size: tuple[int, int] | None = None
              ) -> LabelledImage:  # fmt: skip
        """An image of a split; another file of annotations may add to it. `file_name` is None where it is missing."""
        if size and size[0] * size[1] > MOST_PIXELS:
            raise LayoutError(f'{self.folder.root}: {named} has {size[0]}x{size[1]} pixels; correct its size')
        if file_name is None:
            self._missing.append(named or 'one without a name')
            return LabelledImage(named, size)
        images = self.splits.setdefault(split, {})
        found = images.setdefault(file_name, LabelledImage(file_name, size))
        if found.size is not None and size is not None and found.size != size:
            raise LayoutError(
                f'{self.folder.path(file_name)}: annotated twice, as {found.size[0]}x{found.size[1]} and as '
                f'{size[0]}x{size[1]}; remove one of the annotations'
            )
        return found

    def leave_out(self, what: str, number: int = 1) -> None:
        """Count what has no place in COCO's annotations, to say it."""
        self._left_out[what] += number

    def cocos(self) -> dict[str, dict]:
        """Split -> content of a COCO file, with names relative to the folder.

        Raises:
            LayoutError: images are missing, cannot be opened for their size, or an object has an unknown class.
        """
        if self._missing:
            raise LayoutError(
                f'{count(len(self._missing), "image")} with annotations not in {self.folder.root}: '
                f'{some(self._missing, 3)}; put them there, or remove their annotations'
            )
        self.notes += [f'left out: {what} ({number})' for what, number in self._left_out.items()]
        used = {label for images in self.splits.values() for image in images.values() for label, _ in image.objects}
        classes = self.classes or sorted(used)
        if unknown := sorted(used - set(classes)):
            raise LayoutError(f'{self.folder.root}: objects have classes that are not listed: {some(unknown)}; '
                              f'there are {some(classes)}')  # fmt: skip
        if not classes:
            raise LayoutError(f'{self.folder.root}: annotations without a single object; label some')
        self._open_for_sizes()
        return {split: _coco(images.values(), classes) for split, images in self.splits.items()}

    def _open_for_sizes(self) -> None:
        unknown = [image for images in self.splits.values() for image in images.values() if image.size is None]
        for image, size in zip(unknown, sizes_of(self.folder, [image.file_name for image in unknown]), strict=True):
            image.size = size


def sizes_of(folder: DataFolder, names: Sequence[str]) -> list[tuple[int, int]]:
    """Width and height of images as a pipeline loads them, turned as cameras say.

    Raises:
        LayoutError: one cannot be read.
    """
    found = image_sizes([folder.path(name) for name in names], ImageReader())
    broken = [(name, size) for name, size in zip(names, found) if size.size is None]
    if broken:
        raise LayoutError(
            f'{count(len(broken), "image")} cannot be read: {some([name for name, _ in broken], 3)} '
            f'({broken[0][1].reason}); copy or download them again, or remove them with their annotations'
        )
    return [one.size for one in found if one.size is not None]


def _coco(images: Iterable[LabelledImage], classes: Sequence[str]) -> dict:
    ids = {name: id for id, name in enumerate(classes, 1)}
    images = sorted(images, key=lambda image: image.file_name)
    numbered = [(id, label, ann) for id, image in enumerate(images, 1) for label, ann in image.objects]
    return {
        'images': [
            {'id': id, 'file_name': image.file_name, **dict(zip(('width', 'height'), image.known_size))}
            for id, image in enumerate(images, 1)
        ],
        'categories': [{'id': id, 'name': name} for name, id in ids.items()],
        'annotations': [
            {'id': id, 'image_id': image_id, 'category_id': ids[label], **ann}
            for id, (image_id, label, ann) in enumerate(numbered, 1)
        ],
    }

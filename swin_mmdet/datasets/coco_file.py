"""Read a COCO annotation file once and keep what checks and descriptions need: names, counts, sizes and faults."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from swin_mmdet.datasets.box_format import BoxFormat, box_format, corners_of, overlaps
from swin_mmdet.datasets.columns import columns, polygon_corners
from swin_mmdet.datasets.faults import (
    SKIPPED,
    Known,
    annotation_faults,
    category_faults,
    image_faults,
    is_id,
    is_number,
)
from swin_mmdet.datasets.json_file import CocoFileError, read_json
from swin_mmdet.datasets.mask_boxes import judged_mask
from swin_mmdet.datasets.parallel import in_processes
from swin_mmdet.no_collection import no_collection

__all__ = ['CocoFile', 'CocoFileError', 'Fault', 'read_coco', 'summarise']

NO_BOX = (np.nan,) * 4
# a mask and a box that share less are of two objects
ELSEWHERE = 0.1
# masks that are looked at one by one before processes are started for it
MANY = 2000
# areas: a box of fewer pixels may have any; a mask fills less of its box only if it is a hair
FEW_PIXELS, HAIR = 16, 0.002


@dataclass
class Fault:
    """How often something is wrong, the ids of the first images or annotations where it is, and the first values."""

    count: int = 0
    examples: list = field(default_factory=list)
    values: list = field(default_factory=list)

    def add(self, example: object, value: object = None) -> None:
        self.count += 1
        if len(self.examples) < 3:
            self.examples.append(example)
        if value is not None and len(self.values) < 3 and value not in self.values:
            self.values.append(value)


@dataclass(frozen=True)
class CocoFile:
    """What an annotation file holds.

    Attributes:
        path: of the file.
        file_names: of the images, in the order of the file.
        image_sizes: [images, 2], width and height in pixels, 0 where an image has none.
        box_sizes: [boxes, 2], the same of boxes.
        objects: [images], numbers of annotations that are no crowds.
        categories: (id, name) in the order of the file, which is the order of mmdet's labels.
        parents: names that categories give as their 'supercategory'.
        instances: category id -> number of annotations, crowds included.
        num_annotations, num_crowds, num_empty_images: of all, of crowds, and of images without any.
        num_usable: annotations that mmdet's CocoDataset does not skip.
        num_rle_objects: objects, not crowds, with a mask in run lengths.
        rle_images: file names of images with a mask in run lengths.
        box_format: what its boxes are, None for COCO's.
        faults: kind -> Fault; the kinds are explained in `checks.annotations.RULES`.
    """

    path: Path
    file_names: tuple[str, ...]
    image_sizes: np.ndarray
    box_sizes: np.ndarray
    objects: np.ndarray
    categories: tuple[tuple[Hashable, str], ...]
    parents: frozenset[str]
    instances: Counter
    num_annotations: int
    num_crowds: int
    num_empty_images: int
    num_usable: int
    num_rle_objects: int
    rle_images: frozenset[str]
    box_format: BoxFormat | None
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
    # objects come by the million, and none of them is garbage
    with no_collection():
        return summarise(path, read_json(path))


BOX_COLUMNS = 'boxes', 'sizes', 'masks', 'areas', 'crowds'


class Boxed:
    """Of n annotations, boxes and what they are compared with: `known` where there is a box in an image of known size.

    boxes, masks: [n, 4], the latter as corners, NaN where there is none.
    sizes: [n, 2] of images; areas: [n], NaN where there is none; crowds: bool [n].
    """

    def __init__(self, known: np.ndarray, boxes: np.ndarray, areas: np.ndarray, crowds: np.ndarray) -> None:
        self.known, self.boxes, self.areas, self.crowds = known, boxes, areas, crowds
        self.sizes, self.masks = np.full((len(known), 2), np.nan), np.full((len(known), 4), np.nan)

    def add(self, index: int, ann: dict) -> None:
        """One whose box is four numbers."""
        area = ann.get('area')
        self.known[index], self.boxes[index] = True, ann['bbox']
        self.areas[index] = float(area) if area is not None and is_number(area) else np.nan
        self.crowds[index] = bool(ann.get('iscrowd'))


class Summary:
    """Collects the faults of a file, one item after the other."""

    def __init__(self, data: dict) -> None:
        self.images, self.categories, self.annotations = data['images'], data['categories'], data['annotations']
        self.faults: dict[str, Fault] = defaultdict(Fault)
        # by id, None where they are no sizes
        self.sizes: dict[Hashable, tuple[float, float] | None] = {}
        self.names: dict[Hashable, str] = {}
        self.instances, self.objects = Counter(), Counter()
        self.annotated, self.with_rle = set(), set()
        self.usable = self.crowds = self.rle_objects = 0

    def add_images(self) -> None:
        names = set()
        for index, image in enumerate(self.images):
            kinds = image_faults(image, self.sizes)
            id, name = shown_id(image, index), image.get('file_name')
            if isinstance(name, str):
                if name in names:
                    self.faults['image_name_twice'].add(id, name)
                names.add(name)
            for kind in kinds:
                self.faults[kind].add(id)
            known = not {'image_keys', 'image_size'} & set(kinds)
            self.sizes[id] = (image['width'], image['height']) if known else None

    def add_categories(self) -> None:
        for index, category in enumerate(self.categories):
            id = shown_id(category, index)
            for kind in category_faults(category, self.names):
                self.faults[kind].add(id)
            self.names[id] = str(category.get('name'))

    def add_annotations(self) -> None:
        known = Known(self.sizes, self.names)
        found = columns(self.annotations, self.sizes, self.names)
        usual = found.usual.tolist()
        known.annotations.update(ann['id'] for ann, is_usual in zip(self.annotations, usual) if is_usual)
        boxed = self.boxed = Boxed(found.usual.copy(), found.boxes, found.areas, found.crowds == 1)
        self.placed = found.usual.copy()
        self.usable = int(found.usual.sum())
        self._count([ann for ann, is_usual in zip(self.annotations, usual) if is_usual])
        for index in np.flatnonzero(~found.usual).tolist():
            ann = self.annotations[index]
            kinds = annotation_faults(ann, known)
            id = shown_id(ann, index)
            for kind in kinds:
                self.faults[kind].add(id, ann.get(VALUES.get(kind)))
            known.annotations.add(id)
            self.crowds += bool(ann.get('iscrowd'))
            self.usable += not SKIPPED & set(kinds)
            if 'annotation_of' in kinds:
                continue
            self._count([ann])
            if self.sizes.get(ann['image_id']):
                self.placed[index] = True
                if 'box' not in kinds:
                    boxed.add(index, ann)
        self.crowds += int(found.crowds[found.usual].sum())

    def _count(self, annotations: list[dict]) -> None:
        self.instances.update([ann['category_id'] for ann in annotations])
        self.annotated.update([ann['image_id'] for ann in annotations])
        self.objects.update([ann['image_id'] for ann in annotations if not ann.get('iscrowd')])
        with_rle = [ann for ann in annotations if isinstance(ann.get('segmentation'), dict)]
        self.with_rle.update([ann['image_id'] for ann in with_rle])
        self.rle_objects += sum(not ann.get('iscrowd') for ann in with_rle)

    def add_masks(self) -> None:
        """Of annotations on images whose size is known: without it, no more of box and mask can be judged."""
        judged = np.flatnonzero(self.placed).tolist()
        known = [self.sizes[self.annotations[index]['image_id']] for index in judged]
        sizes = [size for size in known if size is not None]
        assert len(sizes) == len(known)  # as `placed` says
        masks = [self.annotations[index].get('segmentation') for index in judged]
        widths, heights = ([size[side] for size in sizes] for side in (0, 1))
        corners = polygon_corners(masks, heights, widths)
        others = np.flatnonzero(np.isnan(corners[:, 0])).tolist()
        judgements = in_processes(
            lambda place: judged_mask(masks[place], heights[place], widths[place]), others, 'masks decoded', few=MANY
        )
        for place, (kind, found) in zip(others, judgements, strict=True):
            corners[place] = found or NO_BOX
            if kind:
                index = judged[place]
                self.faults[kind].add(shown_id(self.annotations[index], index))
        self.boxed.masks[judged] = corners
        self.boxed.sizes[judged] = np.array(sizes, float).reshape(-1, 2)

    def judge_boxes(self) -> BoxFormat | None:
        """Their format, and those that are not where their masks are or not as large as their areas."""
        places = np.flatnonzero(self.boxed.known)
        boxes, sizes, masks, areas, crowds = (getattr(self.boxed, name)[places] for name in BOX_COLUMNS)
        objects = ~crowds
        found = box_format(*(values[objects] for values in (boxes, sizes, masks, areas)))
        if found is None:
            pixels = boxes[:, 2:].clip(0).prod(axis=1)
            wanted = {
                'mask_elsewhere': overlaps(corners_of(boxes), masks) < ELSEWHERE,
                'area_fraction': (areas > 0) & (areas <= 1) & (pixels >= FEW_PIXELS),
                'area_other': (areas > 1) & ((areas > 1.1 * pixels + FEW_PIXELS) | (areas < HAIR * pixels)),
            }
            for kind, wrong in wanted.items():
                for index in np.flatnonzero(wrong & objects & (pixels > 0)):
                    place = places[index]
                    self.faults[kind].add(shown_id(self.annotations[place], place))
        return found


# what to show of an annotation besides its id
VALUES = {kind: f'{part}_id' for part in ('image', 'category') for kind in (f'{part}_unknown', f'{part}_id_type')}


def summarise(path: Path, data: dict) -> CocoFile:
    """What an annotation file holds, from the JSON in it."""
    summary = Summary(data)
    summary.add_images()
    summary.add_categories()
    summary.add_annotations()
    summary.add_masks()
    found = summary.judge_boxes()
    images, sizes = data['images'], summary.sizes
    return CocoFile(
        path=path,
        file_names=tuple(str(image.get('file_name', '')) for image in images),
        image_sizes=np.array([size or (0, 0) for size in sizes.values()], dtype=float).reshape(-1, 2),
        box_sizes=summary.boxed.boxes[summary.boxed.known, 2:],
        objects=np.array([summary.objects[id] for id in sizes], dtype=int),
        categories=tuple((_known_id(item), str(item.get('name'))) for item in data['categories']),
        parents=frozenset(str(item.get('supercategory')) for item in data['categories']),
        instances=summary.instances,
        num_annotations=len(data['annotations']),
        num_crowds=summary.crowds,
        num_empty_images=len(sizes.keys() - summary.annotated),
        num_usable=summary.usable,
        num_rle_objects=summary.rle_objects,
        rle_images=frozenset(str(image.get('file_name')) for image in images if _known_id(image) in summary.with_rle),
        box_format=found,
        faults=dict(summary.faults),
    )


def shown_id(item: dict, index: int) -> Hashable:
    """How an image, category or annotation is named to the user: its id, or its place in the list."""
    return item['id'] if is_id(item.get('id')) else f'number {index}'


def _known_id(item: dict) -> Hashable:
    id = item.get('id')
    return id if is_id(id) else str(id)

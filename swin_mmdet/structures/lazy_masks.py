"""Masks as they stand in the annotation file, transformed only when they are needed."""

import copy
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import pycocotools.mask as rle_codec
from mmcv import rescale_size
from mmdet.structures.bbox import BaseBoxes
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks

from swin_mmdet.structures.compact_masks import CompactMasks
from swin_mmdet.structures.packed_masks import NOTHING, Box, PackedMasks, pack_bitmap
from swin_mmdet.structures.segmentation import MaskError, readable_mask

FLIPS = {'horizontal': (1, -1), 'vertical': (-1, 1), 'diagonal': (-1, -1)}
# a pixel that is none of the original
OUTSIDE = np.array([-1])


class LazyMasks(CompactMasks):
    """Masks of G objects as polygons, RLE or bitmaps, and from where in the image each row and column comes.

    The mask of an object is `original[rows[:, None], columns[None, :]]`, with 0 where an index is -1: flips, nearest
    resizes and crops move whole rows and columns, as padding with 0 adds them. Other transforms work on bitmaps.

    Args:
        annotations: of each object a list of polygons or an RLE of COCO, or a bitmap [H, W]
        height, width: of the image that the annotations are for

    Raises:
        ValueError: a bitmap or an RLE is for another size, or an annotation is none of the three.
    """

    def __init__(self, annotations: Sequence[list | dict | np.ndarray], height: int, width: int) -> None:
        self.annotations = [checked(annotation, height, width) for annotation in annotations]
        self.original_shape = height, width
        self.rows, self.columns = np.arange(height), np.arange(width)

    @classmethod
    def from_bitmap(cls, bitmap: BitmapMasks) -> 'LazyMasks':
        return cls(list(bitmap.masks), bitmap.height, bitmap.width)

    @property
    def masks(self) -> np.ndarray:
        """uint8 [G, H, W]; these bitmaps are the masks from now on, with whatever is written into them."""
        bitmaps = self.to_ndarray()
        self.masks = bitmaps
        return bitmaps

    @masks.setter
    def masks(self, masks: np.ndarray) -> None:
        self.__dict__.update(vars(LazyMasks(list(masks), self.height, self.width)))

    @property
    def height(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        return len(self.columns)

    def __len__(self) -> int:
        return len(self.annotations)

    def __getitem__(self, index: int | slice | Sequence | np.ndarray) -> 'LazyMasks':
        """The chosen objects; one for an int."""
        chosen = np.arange(len(self))[index].reshape(-1)
        return self._with(annotations=[self.annotations[i] for i in chosen])

    def flip(self, flip_direction: str = 'horizontal') -> 'LazyMasks':
        """Mirror 'horizontal', 'vertical' or both, 'diagonal'."""
        if flip_direction not in FLIPS:
            raise ValueError(f'flip_direction={flip_direction!r} is not one of {tuple(FLIPS)}')
        step_y, step_x = FLIPS[flip_direction]
        return self._with(rows=self.rows[::step_y], columns=self.columns[::step_x])

    def rescale(self, scale: float | tuple[int, int], interpolation: str = 'nearest') -> 'LazyMasks | BitmapMasks':
        """By a factor, or to the largest size within `scale` of the same aspect ratio."""
        width, height = rescale_size((self.width, self.height), scale)
        return self.resize((height, width), interpolation)

    def resize(self, out_shape: tuple[int, int], interpolation: str = 'nearest') -> 'LazyMasks | BitmapMasks':
        """To (height, width)."""
        if interpolation != 'nearest':
            return super().resize(out_shape, interpolation)
        height, width = out_shape
        return self._with(
            rows=self.rows[nearest(self.height, height)], columns=self.columns[nearest(self.width, width)]
        )

    def crop(self, bbox: np.ndarray) -> 'LazyMasks':
        """What lies in the box x1, y1, x2, y2, of which at least one row and column is kept."""
        x1, y1, x2, y2 = bbox
        return self._with(rows=_cut(self.rows, y1, y2), columns=_cut(self.columns, x1, x2))

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> 'LazyMasks | BitmapMasks':
        """At the bottom and on the right, to (height, width)."""
        if pad_val:
            return super().pad(out_shape, pad_val)
        height, width = out_shape
        return self._with(rows=_extend(self.rows, height), columns=_extend(self.columns, width))

    def get_bboxes(self, dst_type: str | type = 'hbox') -> BaseBoxes:
        """Tight boxes of the objects, zeros for one without pixels."""
        return self.pack().get_bboxes(dst_type)

    def pack(self) -> PackedMasks:
        """The masks as bits."""
        return PackedMasks.from_crops(map(self._pack, self.annotations), self.height, self.width)

    def to_bitmap(self) -> BitmapMasks:
        return self.pack().to_bitmap()

    @classmethod
    def cat(cls, masks: Sequence[BaseInstanceMasks]) -> PackedMasks:
        """The objects of several, which may have been transformed each in its own way to one size."""
        return PackedMasks.cat([one.pack() for one in masks])

    def _with(self, **changes: list | np.ndarray) -> 'LazyMasks':
        changed = copy.copy(self)
        changed.__dict__.update(changes)
        return changed

    def _pack(self, annotation: list | dict | np.ndarray) -> tuple[Box, np.ndarray]:
        """One object; only rows and columns that it may be in are touched."""
        rle = self._encode(annotation)
        x, y, width, height = rle_codec.toBbox(rle).astype(int)
        top, bottom = _span(self.rows, y, y + height)
        left, right = _span(self.columns, x, x + width)
        if top == bottom or left == right:
            return NOTHING
        rows, columns = self.rows[top:bottom], self.columns[left:right]
        first, last = sorted((rows[0], rows[-1]))
        # decoded by columns: moving whole columns, then transposing, then moving rows of bytes is what is fast
        by_columns = rle_codec.decode(rle).T[columns, first : last + 1]
        (x, y, width, height), packed = pack_bitmap(cv2.transpose(by_columns), rows - first)
        return ((x + left, y + top, width, height) if len(packed) else NOTHING[0]), packed

    def _encode(self, annotation: list | dict | np.ndarray) -> dict:
        """The RLE of an object, in pycocotools' compressed form."""
        if isinstance(annotation, np.ndarray):
            return rle_codec.encode(np.asfortranarray(annotation != 0, np.uint8))
        if isinstance(annotation, list):
            # pycocotools decodes whole images; nothing lies beyond the pixel of the last corner: corners are rounded to
            # fifths of a pixel, and a pixel counts when its centre is inside
            right, bottom = np.concatenate(annotation).reshape(-1, 2).max(axis=0).clip(0).astype(int).tolist()
            height, width = self.original_shape
            rles = rle_codec.frPyObjects(annotation, min(height, bottom + 1), min(width, right + 1))
            return rles[0] if len(rles) == 1 else rle_codec.merge(rles)
        if isinstance(annotation['counts'], list):
            return rle_codec.frPyObjects(annotation, *self.original_shape)
        return annotation


def checked(annotation: list | dict | np.ndarray, height: int, width: int) -> list | dict | np.ndarray:
    """One of the annotations of `LazyMasks`.

    Raises:
        ValueError: it is none, or one of another size.
    """
    if isinstance(annotation, np.ndarray):
        if annotation.shape != (height, width):
            raise ValueError(f'a bitmap of shape {annotation.shape} in an image of {(height, width)}')
        return annotation
    readable = readable_mask(annotation, height, width)
    if readable is None:
        raise MaskError('mask_unreadable')
    return readable


@lru_cache(maxsize=1024)
def nearest(old: int, new: int) -> np.ndarray:
    """Which of `old` pixels cv2 takes each of `new` from: [new]."""
    indices = cv2.resize(np.arange(old, dtype=np.float32)[None], (new, 1), interpolation=cv2.INTER_NEAREST)
    return indices[0].astype(np.int64)


def _cut(index: np.ndarray, first: int, last: int) -> np.ndarray:
    first, last = np.clip((first, last), 0, len(index))
    cut = index[first : max(last, first + 1)]
    return cut if len(cut) else OUTSIDE


def _extend(index: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([index, OUTSIDE.repeat(max(length - len(index), 0))])


def _span(index: np.ndarray, first: int, last: int) -> tuple[int, int]:
    """The part of a map, start and stop, with values in [first, last): one, for the map only rises or only falls."""
    inside = np.flatnonzero((index >= first) & (index < last))
    return (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0)

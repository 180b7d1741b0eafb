"""Masks as they travel to the training process and its GPU: one bit a pixel, and only where the object is."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes, get_box_type
from mmdet.structures.mask import BitmapMasks
from torch import Tensor

from swin_mmdet.ops.mask_targets import unpack_masks
from swin_mmdet.structures.compact_masks import CompactMasks

Box = tuple[int, int, int, int]
NOTHING = (0, 0, 0, 0), np.empty((0, 0), np.uint8)


def pack_bitmap(bitmap: np.ndarray, rows: np.ndarray | slice = slice(None)) -> tuple[Box, np.ndarray]:
    """The chosen rows of a bitmap [H, W]: x, y, width and height of what is not 0, and its packed bits.

    Pixel x of a row is bit x % 8 of byte x // 8: [height, ceil(width / 8)] uint8.
    """
    packed = np.packbits(bitmap, axis=1, bitorder='little')[rows]
    filled_rows = np.flatnonzero(packed.any(axis=1))
    if not len(filled_rows):
        return NOTHING
    filled = np.flatnonzero(np.unpackbits(np.bitwise_or.reduce(packed, axis=0), bitorder='little'))
    left, right = int(filled[0]), int(filled[-1]) + 1
    top, bottom = int(filled_rows[0]), int(filled_rows[-1]) + 1
    if right - left < bitmap.shape[1]:
        packed = np.packbits(bitmap[:, left:right], axis=1, bitorder='little')[rows]
    return (left, top, right - left, bottom - top), packed[top:bottom]


class PackedMasks(CompactMasks):
    """Masks of G objects as the packed bits of their tight boxes.

    `bits` uint8 [n]: the rows of all objects, each of whole bytes (see `pack_bitmap`). `starts` int64 [G]: the first
    byte of each object. `boxes` int32 [G, 4]: x, y, width and height, all 0 for an object without pixels. What is
    selected shares `bits` with its source.

    Raises:
        ValueError: tensors of other shapes.
    """

    def __init__(self, bits: Tensor, starts: Tensor, boxes: Tensor, height: int, width: int) -> None:
        shapes = [tuple(tensor.shape) for tensor in (bits, starts, boxes)]
        if bits.ndim != 1 or shapes[1:] != [(len(starts),), (len(starts), 4)]:
            raise ValueError(f'packed masks are bits [n], starts [G] and boxes [G, 4], got {shapes}')
        self.bits, self.starts, self.boxes = bits, starts, boxes
        self.height, self.width = height, width

    @classmethod
    def from_crops(cls, crops: Iterable[tuple[Box, np.ndarray]], height: int, width: int) -> 'PackedMasks':
        """From results of `pack_bitmap`, with boxes in an image of the given size.

        Raises:
            ValueError: a box is not within that image, or has not the bits that it needs.
        """
        crops = list(crops)
        boxes = np.array([box for box, _ in crops], np.int32).reshape(-1, 4)
        if (boxes < 0).any() or (boxes[:, :2] + boxes[:, 2:] > (width, height)).any():
            raise ValueError(f'boxes {boxes.tolist()} (x, y, width, height) in an image of {width} x {height}')
        needed = boxes[:, 3] * -(-boxes[:, 2] // 8)
        if (needed != [packed.size for _, packed in crops]).any():
            raise ValueError(f'boxes {boxes.tolist()} need {needed.tolist()} bytes')
        ends = np.cumsum([packed.size for _, packed in crops], dtype=np.int64)
        bits = np.concatenate([packed.ravel() for _, packed in crops] or [NOTHING[1].ravel()])
        starts = np.concatenate([np.zeros(min(1, len(ends)), np.int64), ends[:-1]])
        return cls(torch.from_numpy(bits), torch.from_numpy(starts), torch.from_numpy(boxes), height, width)

    @classmethod
    def from_bitmap(cls, bitmap: BitmapMasks) -> 'PackedMasks':
        if bitmap.masks.shape != (len(bitmap.masks), bitmap.height, bitmap.width):
            raise ValueError(f'bitmaps of shape {bitmap.masks.shape} in images of {(bitmap.height, bitmap.width)}')
        return cls.from_crops([pack_bitmap(mask) for mask in bitmap.masks], bitmap.height, bitmap.width)

    @classmethod
    def cat(cls, masks: Sequence['PackedMasks']) -> 'PackedMasks':
        """The objects of several, all of one image size and on one device.

        Raises:
            ValueError: there are none, or they differ in size.
        """
        sizes = {(one.height, one.width) for one in masks}
        if len(sizes) != 1:
            raise ValueError(f'masks of one image size can be concatenated, got sizes {sorted(sizes)}')
        first = masks[0]
        if all(one.bits is first.bits for one in masks):
            bits, starts = first.bits, [one.starts for one in masks]
        else:
            bits = torch.cat([one.bits for one in masks])
            before = np.cumsum([0] + [len(one.bits) for one in masks])
            starts = [one.starts + int(offset) for one, offset in zip(masks, before, strict=False)]
        return cls(bits, torch.cat(starts), torch.cat([one.boxes for one in masks]), first.height, first.width)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int | slice | Sequence | np.ndarray | Tensor) -> 'PackedMasks':
        """The chosen objects; one for an int. Bool tensors on a GPU synchronise the CPU with it."""
        if isinstance(index, (Sequence, np.ndarray)):
            index = torch.from_numpy(np.arange(len(self))[index])
        starts, boxes = self.starts[index].reshape(-1), self.boxes[index].reshape(-1, 4)
        return PackedMasks(self.bits, starts, boxes, self.height, self.width)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> 'PackedMasks':
        """The same masks on a device."""
        bits, starts, boxes = (x.to(device, non_blocking=non_blocking) for x in (self.bits, self.starts, self.boxes))
        return PackedMasks(bits, starts, boxes, self.height, self.width)

    def pad(self, out_shape: tuple[int, int], pad_val: int = 0) -> CompactMasks | BitmapMasks:
        """In an image of (height, width) with the same upper left corner."""
        if pad_val:
            return super().pad(out_shape, pad_val)
        height, width = np.maximum(out_shape, (self.height, self.width)).tolist()
        return PackedMasks(self.bits, self.starts, self.boxes, height, width)

    def get_bboxes(self, dst_type: str | type = 'hbox') -> BaseBoxes:
        """Tight boxes of the objects, zeros for one without pixels."""
        if get_box_type(dst_type)[1] is not HorizontalBoxes:
            return super().get_bboxes(dst_type)
        corner, size = self.boxes.float().split(2, dim=1)
        return HorizontalBoxes(torch.cat([corner, corner + size], dim=1))

    def to_tensor(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """[G, H, W]."""
        return unpack_masks(self.bits, self.starts, self.boxes, (self.height, self.width)).to(device, dtype)

    def to_bitmap(self) -> BitmapMasks:
        return BitmapMasks(self.to_tensor(torch.uint8, 'cpu').numpy(), self.height, self.width)

    def __getstate__(self) -> dict:
        """On a CPU as arrays: between processes, a tensor of a few bytes would take a shared file."""
        return {name: _as_array(value) if isinstance(value, Tensor) else value for name, value in vars(self).items()}

    def __setstate__(self, state: dict) -> None:
        arrays = {name: torch.from_numpy(value) for name, value in state.items() if isinstance(value, np.ndarray)}
        self.__dict__.update(state | arrays)


def _as_array(tensor: Tensor) -> np.ndarray | Tensor:
    return tensor.numpy() if tensor.device.type == 'cpu' else tensor

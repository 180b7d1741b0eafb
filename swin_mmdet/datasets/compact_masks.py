"""What compact masks share: every method of mmdet's masks, through bitmaps where they have nothing better."""

from abc import abstractmethod
from collections.abc import Callable, Iterator

import numpy as np
import torch
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks


def _by_bitmap(name: str) -> Callable:
    def method(self: 'CompactMasks', *args, **kwargs):
        return getattr(self.to_bitmap(), name)(*args, **kwargs)

    method.__name__, method.__doc__ = name, f'As `BitmapMasks.{name}`, on bitmaps made for this call.'
    return method


class CompactMasks(BaseInstanceMasks):
    """Masks of G objects in an image of `height` x `width` that are not kept as bitmaps."""

    height: int
    width: int

    @abstractmethod
    def to_bitmap(self) -> BitmapMasks:
        """The same as mmdet's bitmaps, on the CPU."""

    rescale = _by_bitmap('rescale')
    resize = _by_bitmap('resize')
    flip = _by_bitmap('flip')
    pad = _by_bitmap('pad')
    crop = _by_bitmap('crop')
    crop_and_resize = _by_bitmap('crop_and_resize')
    expand = _by_bitmap('expand')
    translate = _by_bitmap('translate')
    shear = _by_bitmap('shear')
    rotate = _by_bitmap('rotate')
    get_bboxes = _by_bitmap('get_bboxes')

    @property
    def masks(self) -> np.ndarray:
        """uint8 [G, H, W], as an attribute of mmdet's bitmaps."""
        return self.to_ndarray()

    @property
    def areas(self) -> np.ndarray:
        """Pixels of each object: [G]."""
        return self.to_bitmap().areas

    def to_ndarray(self) -> np.ndarray:
        """uint8 [G, H, W]."""
        return self.to_bitmap().masks

    def to_tensor(self, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """[G, H, W]."""
        return self.to_bitmap().to_tensor(dtype, device)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.to_ndarray())

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_masks={len(self)}, height={self.height}, width={self.width})'

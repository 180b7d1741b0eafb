"""What compact masks share: every method of mmdet's masks, through bitmaps where they have nothing better."""

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from mmdet.structures.mask import BitmapMasks


def _by_bitmap(name: str) -> Callable:
    def method(self: 'CompactMasks', *args, **kwargs):
        return getattr(self.to_bitmap(), name)(*args, **kwargs)

    method.__name__, method.__doc__ = name, f'As `BitmapMasks.{name}`, on bitmaps made for this call.'
    return method


class CompactMasks(BitmapMasks):
    """Masks of G objects in an image of `height` x `width` that pass for mmdet's bitmaps, and are not kept as such."""

    height: Any  # int; an attribute here, what follows from others there
    width: Any

    @abstractmethod
    def to_bitmap(self) -> BitmapMasks:
        """The same as mmdet's bitmaps, on the CPU."""

    @classmethod
    @abstractmethod
    def from_bitmap(cls, bitmap: BitmapMasks) -> 'CompactMasks':
        """The same masks; values other than 0 become 1.

        Raises:
            ValueError: the bitmaps are of another size than their `height` and `width`.
        """

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
        """uint8 [G, H, W], made anew each time: what is written into it is lost, what is assigned is kept."""
        return self.to_ndarray()

    @masks.setter
    def masks(self, masks: np.ndarray) -> None:
        if masks.shape[1:] != (self.height, self.width):  # mmdet's bitmaps would reshape them
            raise ValueError(f'bitmaps of shape {masks.shape} for masks of {(self.height, self.width)}')
        self.__dict__.update(vars(self.from_bitmap(BitmapMasks(masks, self.height, self.width))))

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

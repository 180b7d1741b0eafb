"""Masks of detections, decoded when somebody looks at them."""

from collections.abc import Iterator, Sequence

import numpy as np
from pycocotools import mask as mask_utils


class Masks:
    """N masks as a bool array [N, H, W] that exists only where it is looked at.

    `masks[i]` decodes one, [H, W]; a slice or a choice, by numbers or by a bool array [N], decodes none;
    `np.asarray(masks)`, and whatever else an array can do (`masks.sum((1, 2))`), decode them all.

    Attributes:
        rles: of each its run lengths, as pycocotools has them.
    """

    dtype = np.dtype(bool)
    ndim = 3

    def __init__(self, rles: Sequence[dict], height: int, width: int) -> None:
        self.rles = list(rles)
        self.shape = len(self.rles), height, width

    def __len__(self) -> int:
        return len(self.rles)

    def __getitem__(self, index: object) -> 'np.ndarray | Masks':
        if isinstance(index, int | np.integer):
            return mask_utils.decode(self.rles[index]).astype(bool)
        if isinstance(index, tuple):
            return np.asarray(self)[index]
        chosen = np.arange(len(self))[index]
        return Masks([self.rles[i] for i in chosen.tolist()], *self.shape[1:])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (mask_utils.decode(rle).astype(bool) for rle in self.rles)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError('masks are decoded into a new array')
        array = np.zeros(self.shape, bool)
        for mask, one in zip(array, self):
            mask[:] = one
        return array if dtype is None else array.astype(dtype)

    def __getattr__(self, name: str) -> object:
        if name.startswith('_') or not hasattr(np.ndarray, name):
            raise AttributeError(f'masks have no {name}')
        return getattr(np.asarray(self), name)

    def __repr__(self) -> str:
        return f'Masks(shape={self.shape})'

    @property
    def areas(self) -> np.ndarray:
        """Pixels of each: [N]."""
        return np.array([mask_utils.area(rle) for rle in self.rles], np.int64)

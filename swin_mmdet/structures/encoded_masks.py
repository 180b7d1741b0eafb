"""Predicted masks that stay run lengths until somebody asks for pixels."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from pycocotools import mask as mask_utils
from torch import Tensor
from torch.utils._pytree import tree_map_only

from swin_mmdet.ops.mask_runs import LateRuns, chosen_runs


class EncodedMasks(Tensor):
    """A bool tensor [N, H, W] that holds one COCO run-length encoding for each of its N masks.

    Whatever is done with it is done with the decoded pixels, so visualizers, metrics and users take it for the tensor
    that mmdet's mask heads return. Sizes, a choice along the first axis and `cpu()` decode nothing, and who writes COCO
    results takes `rles`. Writing into it raises `TypeError`.
    """

    _rles: list[dict] | None
    _runs: Sequence[Sequence[int]] | None

    @staticmethod
    def __new__(cls, rles: list[dict], height: int, width: int, device: torch.device | str = 'cpu') -> 'EncodedMasks':
        """`rles` as pycocotools has them: dicts of 'size', (height, width), and 'counts', bytes.

        Raises:
            ValueError: an RLE is for another size.
        """
        sizes = {tuple(rle['size']) for rle in rles}
        if sizes - {(height, width)}:
            raise ValueError(f'RLEs of sizes {sorted(sizes)} for images of {(height, width)}')
        return cls._made(rles, None, (len(rles), height, width), device)

    @classmethod
    def from_runs(
        cls, runs: Sequence[Sequence[int]], height: int, width: int, device: torch.device | str = 'cpu'
    ) -> 'EncodedMasks':
        """From the run lengths of each mask, as `paste_masks` returns them; they are packed when `rles` are wanted.

        `LateRuns` are waited for then, too.
        """
        runs = runs if isinstance(runs, LateRuns) else list(runs)
        return cls._made(None, runs, (len(runs), height, width), device)

    @classmethod
    def _made(
        cls, rles: list[dict] | None, runs: Sequence[Sequence[int]] | None, shape: tuple[int, ...],
        device: torch.device | str,
    ) -> 'EncodedMasks':
        masks = Tensor._make_wrapper_subclass(cls, shape, dtype=torch.bool, device=device)
        masks._rles, masks._runs = rles, runs
        return masks

    @property
    def rles(self) -> list[dict]:
        """As pycocotools has them."""
        if self._rles is None:
            _, height, width = self.shape
            uncompressed = [dict(size=[height, width], counts=counts) for counts in self._runs or ()]
            self._rles = mask_utils.frPyObjects(uncompressed, height, width) if uncompressed else []
            self._runs = None
        return self._rles

    def decode(self) -> Tensor:
        """A plain bool tensor [N, H, W] on this one's device."""
        # one by one: given many masks, pycocotools holds them all once more
        pixels = torch.zeros(self.shape, dtype=torch.bool)
        for bitmap, rle in zip(pixels.numpy(), self.rles):
            bitmap[:] = mask_utils.decode(rle)
        return pixels.to(self.device)

    def _like(self, indices: Sequence[int] | slice = slice(None), device: torch.device | None = None) -> 'EncodedMasks':
        choose = (lambda each: each[indices]) if isinstance(indices, slice) else partial(chosen_runs, indices=indices)
        rles = None if self._rles is None else list(choose(self._rles))
        runs = None if self._runs is None else choose(self._runs)
        shape = len(rles or runs or ()), *self.shape[1:]
        return self._made(rles, runs, shape, device or self.device)

    def cpu(self) -> 'EncodedMasks':
        """The same masks, still encoded; their pixels will be on the CPU."""
        return self._like(device=torch.device('cpu'))

    def detach(self) -> 'EncodedMasks':
        """The same masks, still encoded."""
        return self._like()

    def __getitem__(self, index: object) -> Tensor:
        if isinstance(index, slice):
            return self._like(index)
        if isinstance(index, (list, np.ndarray, Tensor)):
            chosen = torch.as_tensor(index)
            if chosen.ndim == 1 and (chosen.dtype != torch.bool or len(chosen) == len(self)):
                chosen = chosen.nonzero()[:, 0] if chosen.dtype == torch.bool else chosen
                return self._like(chosen.tolist())
            index = chosen
        if isinstance(index, int):
            return self[index : index + 1 or None].decode()[0]
        return self.decode()[index]

    @classmethod
    def __torch_function__(
        cls, func: Callable, types: tuple[type, ...], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        if func in _OF_SIZE:
            return super().__torch_function__(func, types, args, kwargs)
        name = func.__name__
        in_place = name == '__setitem__' or (name.endswith('_') and not name.endswith('__'))
        if in_place and args and isinstance(args[0], EncodedMasks):
            raise TypeError(f'{name}: encoded masks cannot be written to; write to what decode() returns')
        return cls.__torch_dispatch__(func, types, args, kwargs)

    @classmethod
    def __torch_dispatch__(
        cls, func: Callable, types: tuple[type, ...], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        args, kwargs = tree_map_only(EncodedMasks, EncodedMasks.decode, (args, kwargs or {}))
        return func(*args, **kwargs)


# what a tensor without pixels answers by itself
_OF_SIZE = {
    Tensor.shape.__get__, Tensor.dtype.__get__, Tensor.device.__get__, Tensor.ndim.__get__, Tensor.is_cuda.__get__,
    Tensor.requires_grad.__get__, Tensor.size, Tensor.dim, Tensor.numel, Tensor.__len__, Tensor.is_floating_point,
}  # fmt: skip

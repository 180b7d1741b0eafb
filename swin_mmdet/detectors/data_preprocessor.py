"""Batches for the detector, of images that reach the GPU as bytes."""

from collections.abc import Callable, Sequence

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor as MMDetDataPreprocessor
from mmengine.model import ImgDataPreprocessor
from torch import Tensor

from swin_mmdet.models.derived_buffers import DerivedBuffers
from swin_mmdet.ops.normalize_images import normalize_images
from swin_mmdet.registry import MODELS

FitSize = Callable[[tuple[int, int]], tuple[int, int]]


class _BytesToBatch(ImgDataPreprocessor):
    """mmengine's part of the work, between mmdet's, for lists of uint8 images of 3 channels."""

    _fit_size: FitSize = staticmethod(lambda size: size)

    def forward(self, data: dict, training: bool = False) -> dict:
        images = data['inputs']
        if not isinstance(images, (list, tuple)) or not all(map(_is_byte_image, images)):
            return super().forward(data, training)
        data = self.cast_data(data)
        divisor = self.pad_size_divisor
        size = tuple(-(-max(image.shape[axis] for image in images) // divisor) * divisor for axis in (1, 2))
        size = self._fit_size(size)
        mean, std = (self.mean, self.std) if self._enable_normalize else (None, None)
        images = data['inputs']
        channels_last = images[0].is_cuda and torch.is_autocast_enabled('cuda')
        batch = normalize_images(images, mean, std, size, self.pad_value, self._channel_conversion, channels_last)
        return data | {'inputs': batch, 'data_samples': data.get('data_samples')}


def _is_byte_image(image: Tensor) -> bool:
    return isinstance(image, Tensor) and image.dtype == torch.uint8 and image.ndim == 3 and len(image) == 3


@MODELS.register_module()
class DetDataPreprocessor(DerivedBuffers, MMDetDataPreprocessor, _BytesToBatch):
    """mmdet's preprocessor, of the same arguments and results, faster for uint8 images of 3 channels.

    Copies to the GPU do not synchronise with it, unless `non_blocking=False`. Under autocast a batch on a GPU has its
    channels innermost (`torch.channels_last`): convolutions in half precision run faster so, and what they return has
    it too.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        *args,
        non_blocking: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(mean, std, *args, non_blocking=non_blocking, **kwargs)
        self._statistics = {'mean': tuple(mean), 'std': tuple(std)} if mean is not None and std is not None else {}
        self.register_derived_buffers()

    def forward(self, data: dict, training: bool = False, fit_size: FitSize | None = None) -> dict:
        """As mmdet's; `fit_size` takes the height and width of a batch of byte images, to those that it is padded to.

        `pad_shape` of an image stays that of its own padding.
        """
        if fit_size is None:
            return super().forward(data, training)
        self._fit_size = fit_size
        try:
            return super().forward(data, training)
        finally:
            del self._fit_size

    def derived_buffers(self) -> dict[str, Tensor]:
        """What images are normalised with."""
        return {name: torch.tensor(values).view(-1, 1, 1) for name, values in self._statistics.items()}

"""What a detector is told of a batch in tensors of fixed shapes, for steps that are recorded and replayed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

NAME = 'static_batch'


@dataclass(frozen=True, eq=False)
class StaticBatch:
    """Of B images; no number of it is read on the host.

    It reaches a detector's heads through mmdet's own calls, in the `metainfo` of samples: see `samples` and
    `static_batch`.

    Attributes:
        image_sizes: [B, 2] float32, height and width of each image as the model sees it, without padding.
    """

    image_sizes: Tensor

    def samples(self, size: tuple[int, int]) -> list[DetDataSample]:
        """What mmdet's detectors take for images of a batch of height and width `size`."""
        return [_Sample(self, index, size) for index in range(len(self.image_sizes))]

    def instances(self, index: int) -> InstanceData | None:
        """The ground truth of an image, where there is any."""
        del index
        return None

    def __deepcopy__(self, _memo: dict) -> 'StaticBatch':
        # as a part of samples, which mmdet copies for its heads
        return self


@dataclass(frozen=True, eq=False)
class PredictionBatch(StaticBatch):
    """Images in which objects are found.

    Attributes:
        scale_factors: [B, 4] float32, of x, y, x, y: an image as the model sees it to the one it was made of.
        inverse_factors: [B, 4] float32, one divided by these before they were rounded.
    """

    scale_factors: Tensor
    inverse_factors: Tensor


class _Sample(DetDataSample):
    def __init__(self, batch: StaticBatch, index: int, size: tuple[int, int]) -> None:
        # `img_shape` and the like of each image are in the batch alone
        super().__init__(metainfo={NAME: batch, 'index': index, 'batch_input_shape': size})
        instances = batch.instances(index)
        if instances is not None:
            self.gt_instances = instances

    def __deepcopy__(self, _memo: dict) -> '_Sample':
        return _Sample(self.get(NAME), self.get('index'), self.get('batch_input_shape'))


def static_batch(of: Sequence[InstanceData] | Sequence[Mapping[str, Any]]) -> StaticBatch | None:
    """That of images' instances or of their `metainfo`, if they were made by one."""
    return of[0].get(NAME) if len(of) else None

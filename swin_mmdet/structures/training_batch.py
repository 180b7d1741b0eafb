"""The ground truth of a batch in tensors of fixed shapes, for steps that are recorded and replayed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.structures.objects import Objects
from swin_mmdet.structures.packed_masks import PackedMasks

NAME = 'training_batch'


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """What losses of B images are told, room for G objects in each; where it is given no number is read on the host.

    It reaches a detector's heads through mmdet's own calls, in the `metainfo` of samples and of their instances: see
    `samples` and `training_batch`.

    Attributes:
        objects: [B, G, ...], of which the first `counts` are there.
        image_sizes: [B, 2] float32, height and width of each image as the model sees it, without padding.
        pad_sizes: [B, 2] float32, the same with the padding of the image alone.
        masks: of B * G objects, where there are masks.
    """

    objects: Objects
    image_sizes: Tensor
    pad_sizes: Tensor
    masks: PackedMasks | None = None

    def samples(self, size: tuple[int, int]) -> list[DetDataSample]:
        """What mmdet's detectors take for images of a batch of height and width `size`."""
        return [_Sample(self, index, size) for index in range(len(self.image_sizes))]

    def __deepcopy__(self, _memo: dict) -> 'TrainingBatch':
        # as a part of samples, which mmdet copies for its heads
        return self


class _Sample(DetDataSample):
    def __init__(self, batch: TrainingBatch, index: int, size: tuple[int, int]) -> None:
        # `img_shape` and `pad_shape` of each image are in the batch alone
        super().__init__(metainfo={NAME: batch, 'index': index, 'batch_input_shape': size})
        self.gt_instances = InstanceData(
            metainfo={NAME: batch}, bboxes=batch.objects.boxes[index], labels=batch.objects.labels[index]
        )

    def __deepcopy__(self, _memo: dict) -> '_Sample':
        return _Sample(self.get(NAME), self.get('index'), self.get('batch_input_shape'))


def training_batch(of: Sequence[InstanceData] | Sequence[Mapping[str, Any]]) -> TrainingBatch | None:
    """That of images' instances or of their `metainfo`, if they were made by one."""
    return of[0].get(NAME) if len(of) else None

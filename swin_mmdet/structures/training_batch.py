"""The ground truth of a batch in tensors of fixed shapes, for steps that are recorded and replayed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.structures.objects import Objects
from swin_mmdet.structures.packed_masks import PackedMasks
from swin_mmdet.structures.static_batch import NAME, StaticBatch, static_batch


@dataclass(frozen=True, eq=False)
class TrainingBatch(StaticBatch):
    """What losses of B images are told, room for G objects in each; where it is given no number is read on the host.

    Attributes:
        pad_sizes: [B, 2] float32, height and width of each image with the padding of the image alone.
        objects: [B, G, ...], of which the first `counts` are there.
        masks: of B * G objects, where there are masks.
    """

    pad_sizes: Tensor
    objects: Objects
    masks: PackedMasks | None = None

    def instances(self, index: int) -> InstanceData:
        """The boxes and labels of an image, those of places without an object too."""
        return InstanceData(
            metainfo={NAME: self}, bboxes=self.objects.boxes[index], labels=self.objects.labels[index]
        )


def training_batch(of: Sequence[InstanceData] | Sequence[Mapping[str, Any]]) -> TrainingBatch | None:
    """That of images' instances or of their `metainfo`, if they were made by one."""
    batch = static_batch(of)
    return batch if isinstance(batch, TrainingBatch) else None

"""What a batch's boxes are to parts that take all images at once: padded to one number, and counted."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from swin_mmdet.ops.to_device import to_device


class Objects(NamedTuple):
    """The ground truth of B images, at most G objects each; G is one at least."""

    boxes: Tensor  # [B, G, 4] float32
    labels: Tensor  # [B, G] int64
    counts: Tensor  # [B] int64


def gather_objects(instances: Sequence[InstanceData]) -> Objects:
    """Of images' `gt_instances`."""
    boxes = pad_sequence([image.bboxes.float().reshape(-1, 4) for image in instances], batch_first=True)
    labels = pad_sequence([image.labels for image in instances], batch_first=True)
    if not boxes.shape[1]:
        boxes, labels = F.pad(boxes, (0, 0, 0, 1)), F.pad(labels, (0, 1))
    return Objects(boxes, labels, to_device([len(image.bboxes) for image in instances], boxes, torch.int64))


def image_sizes(metas: Sequence[dict], like: Tensor) -> Tensor:
    """Width, height, width, height of each image as the model sees it, without padding: [B, 4] float32."""
    return to_device([meta['img_shape'][1::-1] * 2 for meta in metas], like, torch.float32)


class BatchedProposals(Sequence):
    """The proposals of a batch's images, best first; to mmdet's parts a sequence of one `InstanceData` an image.

    Only that use waits for the GPU: how many an image has is not known before.
    """

    def __init__(self, boxes: Tensor, scores: Tensor, valid: Tensor) -> None:
        self.boxes, self.scores, self.valid = boxes, scores, valid  # [B, P, 4], [B, P], [B, P]

    @cached_property
    def _images(self) -> list[InstanceData]:
        counts = self.valid.sum(1).tolist()
        return [
            InstanceData(bboxes=boxes[:count], scores=scores[:count], labels=scores.new_zeros(count, dtype=torch.long))
            for boxes, scores, count in zip(self.boxes, self.scores, counts, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: int) -> InstanceData:
        return self._images[index]

    def __iter__(self) -> Iterator[InstanceData]:
        return iter(self._images)

"""The proposals of a batch's images, all at once or as mmdet hands them on."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import overload

import torch
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from swin_mmdet.ops.to_device import to_device


class BatchedProposals(Sequence):
    """The proposals of a batch's images, best first; to mmdet's parts a sequence of one `InstanceData` an image.

    Only that use synchronises with the GPU: how many an image has is not known before.

    Args:
        boxes: [B, P, 4] float32.
        scores: [B, P].
        valid: [B, P] bool, which there are; an image has its own first.
    """

    def __init__(self, boxes: Tensor, scores: Tensor, valid: Tensor) -> None:
        self.boxes, self.scores, self.valid = boxes, scores, valid

    @cached_property
    def _images(self) -> list[InstanceData]:
        counts = self.valid.sum(1).tolist()
        return [
            InstanceData(bboxes=boxes[:count], scores=scores[:count], labels=scores.new_zeros(count, dtype=torch.long))
            for boxes, scores, count in zip(self.boxes, self.scores, counts, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.boxes)

    @overload
    def __getitem__(self, index: int) -> InstanceData: ...

    @overload
    def __getitem__(self, index: slice) -> list[InstanceData]: ...

    def __getitem__(self, index: int | slice) -> InstanceData | list[InstanceData]:
        return self._images[index]

    def __iter__(self) -> Iterator[InstanceData]:
        return iter(self._images)


def boxes_of(proposals: Sequence[InstanceData] | BatchedProposals) -> tuple[Tensor, Tensor]:
    """The proposals' boxes [B, P, 4] float32, and which of them there are [B, P]."""
    if isinstance(proposals, BatchedProposals):
        return proposals.boxes, proposals.valid
    boxes = pad_sequence([get_box_tensor(image.bboxes).float() for image in proposals], batch_first=True)
    counts = to_device([len(image.bboxes) for image in proposals], boxes, torch.int64)
    return boxes, torch.arange(boxes.shape[1], device=boxes.device) < counts[:, None]

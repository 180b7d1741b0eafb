"""The memory from which recorded steps read their batch."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.structures import DetDataSample
from torch.nn.utils.rnn import pad_sequence

from swin_mmdet.detectors.image_sizes import image_shapes, pad_shapes
from swin_mmdet.structures import Objects, PackedMasks, TrainingBatch, gather_objects

# room for most batches of COCO, whose fullest image has 93 objects; what is fuller has a room of its own
MIN_OBJECTS = 128
MIN_MASK_BYTES = 8 * 2**20


class Room(NamedTuple):
    """Images of a batch, objects of each, and bytes of all their masks, or None where there are no masks."""

    images: int
    objects: int
    mask_bytes: int | None


def room_for(samples: Sequence[DetDataSample]) -> Room:
    """Powers of two, so that few rooms serve a training."""
    instances = [sample.gt_instances for sample in samples]
    objects = max(len(one.bboxes) for one in instances)
    mask_bytes = None
    if 'masks' in instances[0]:
        mask_bytes = max(MIN_MASK_BYTES, _power_of_two(sum(len(one.masks.bits) for one in instances)))
    return Room(len(samples), max(MIN_OBJECTS, _power_of_two(objects)), mask_bytes)


def _power_of_two(number: int) -> int:
    return 1 << max(number - 1, 0).bit_length()


class StaticInputs:
    """Tensors of one address for ground truth that fits a room; all kinds of steps with this room share them."""

    def __init__(self, room: Room, device: torch.device) -> None:
        images, objects, mask_bytes = room
        self.objects = Objects(
            torch.zeros(images, objects, 4, device=device),
            torch.zeros(images, objects, dtype=torch.int64, device=device),
            torch.zeros(images, dtype=torch.int64, device=device),
        )
        self.sizes = torch.zeros(2, images, 2, device=device)
        self.room = room
        if mask_bytes is not None:
            self.bits = torch.zeros(mask_bytes, dtype=torch.uint8, device=device)
            self.starts = torch.zeros(images, objects, dtype=torch.int64, device=device)
            self.mask_boxes = torch.zeros(images, objects, 4, dtype=torch.int32, device=device)

    def fill(self, samples: Sequence[DetDataSample]) -> None:
        """Copy the ground truth of a batch; boxes that are left of another beyond its objects are not looked at."""
        instances, metas = [one.gt_instances for one in samples], [one.metainfo for one in samples]
        given = gather_objects(instances)
        most = given.boxes.shape[1]
        self.objects.boxes[:, :most].copy_(given.boxes)
        self.objects.labels[:, :most].copy_(given.labels)
        self.objects.counts.copy_(given.counts)
        self.sizes[0].copy_(image_shapes(metas, self.sizes))
        self.sizes[1].copy_(pad_shapes(metas, self.sizes))
        if self.room.mask_bytes is None:
            return
        masks = PackedMasks.cat([one.masks for one in instances])
        counts = [len(one.masks) for one in instances]
        starts, boxes = (pad_sequence(list(x.split(counts)), batch_first=True) for x in (masks.starts, masks.boxes))
        self.bits[: len(masks.bits)].copy_(masks.bits)
        self.starts[:, : starts.shape[1]].copy_(starts)
        self.mask_boxes[:, : boxes.shape[1]].copy_(boxes)
        # places without an object take any mask: one of a larger batch would lie beyond these images
        self.mask_boxes[:, boxes.shape[1] :].zero_()

    def batch(self, size: tuple[int, int]) -> TrainingBatch:
        """For images of this height and width."""
        masks = None
        if self.room.mask_bytes is not None:
            masks = PackedMasks(self.bits, self.starts.flatten(), self.mask_boxes.flatten(0, 1), *size)
        return TrainingBatch(self.sizes[0], self.sizes[1], self.objects, masks)

"""The ground truth of masks, objects and stuff, of all images of a batch: sampled at points, never whole."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmdet.structures.mask import BaseInstanceMasks, BitmapMasks
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from swin_mmdet.ops.mask_points import sample_labels, sample_masks
from swin_mmdet.ops.to_device import AsyncHostCopy, to_device
from swin_mmdet.structures import PackedMasks


class TrueMasks(NamedTuple):
    """N masks of B images, an image after another: of its objects and then of its stuff."""

    labels: Tensor  # [N] int64
    counts: list[int]  # of each image
    packed: PackedMasks  # of all objects
    objects: Tensor  # [N] int64, of each the index among these; -1 for stuff
    maps: Tensor | None  # [B, H, W] of labels, where there is stuff
    images: Tensor | None  # [N] int64, of stuff the image; -1 for objects

    def sample(self, numbers: Tensor, points: Tensor, rows: Tensor | None = None) -> Tensor:
        """Of masks `numbers` [M], -1 for none, at rows [M] of points [R, P, 2] in shares of the image: [M, P]."""
        nothing = numbers < 0
        packed = self.packed
        objects = self.objects[numbers].masked_fill(nothing, -1)
        values = sample_masks(
            packed.bits, packed.starts, packed.boxes, (packed.height, packed.width), objects, points, rows
        )
        if self.images is not None:
            images = self.images[numbers].masked_fill(nothing, -1)
            values += sample_labels(self.maps, images, self.labels[numbers], points, rows)
        return values

    def padded(self) -> tuple[Tensor, Tensor]:
        """Of each image's masks the numbers, -1 for none, and labels: [B, G] int64, G one at least."""
        max_count, first, numbers = max(1, *self.counts), 0, []
        for count in self.counts:
            numbers.append([*range(first, first + count), *[-1] * (max_count - count)])
            first += count
        numbers = to_device(numbers, self.labels)
        return numbers, self.labels[numbers] if len(self.labels) else torch.zeros_like(numbers)


class AsyncTrueMasks:
    """What stuff images have, a GPU knows; the host needs to know it as late as possible."""

    def __init__(
        self, instances: Sequence[InstanceData], maps: Sequence[PixelData | None], things: int, classes: int
    ) -> None:
        """Labels of `maps` from `things` to `classes` are stuff."""
        self._labels = torch.cat([image.labels for image in instances])
        self._counts = [len(image.labels) for image in instances]
        self._packed = PackedMasks.cat([_packed(image.masks) for image in instances]).to(
            self._labels.device, non_blocking=True
        )
        self._things, self._maps, self._stuff = things, None, None
        if all(one is None for one in maps) or things == classes:
            return
        size = self._packed.height, self._packed.width
        nothing = torch.full((1, *size), classes, device=self._labels.device)
        self._maps = torch.cat([nothing if one is None else one.sem_seg for one in maps])
        if self._maps.shape[1:] != size:
            raise ValueError(f'semantic maps of {tuple(self._maps.shape[1:])} and masks of {size} are of one image')
        labels = self._maps.flatten(1).long()
        labels = labels.where((labels >= 0) & (labels < classes), classes)
        present = torch.zeros(len(maps), classes + 1, dtype=torch.bool, device=labels.device)
        self._stuff = AsyncHostCopy(present.scatter_(1, labels, torch.ones_like(labels, dtype=torch.bool)))

    def wait(self) -> TrueMasks:
        """Synchronises the host, for it to know how many there are; without stuff it does."""
        if self._stuff is None:
            objects = torch.arange(len(self._labels), device=self._labels.device)
            return TrueMasks(self._labels, self._counts, self._packed, objects, None, None)
        present = self._stuff.wait().numpy()
        first, rows, counts = 0, [], []
        for image, count in enumerate(self._counts):
            stuff = np.flatnonzero(present[image, self._things : -1]) + self._things
            rows += [(index, -1, 0) for index in range(first, first + count)]
            rows += [(-1, image, label) for label in stuff.tolist()]
            counts.append(count + len(stuff))
            first += count
        objects, images, labels = to_device(np.array(rows, np.int64).reshape(-1, 3).T.tolist(), self._labels)
        if len(self._labels):
            labels = torch.where(objects >= 0, self._labels[objects], labels)
        return TrueMasks(labels, counts, self._packed, objects, self._maps, images)


def _packed(masks: BaseInstanceMasks) -> PackedMasks:
    if isinstance(masks, PackedMasks):
        return masks
    return PackedMasks.from_bitmap(masks if isinstance(masks, BitmapMasks) else masks.to_bitmap())

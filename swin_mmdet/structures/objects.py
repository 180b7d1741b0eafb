"""What a batch's boxes are to parts that take all images at once: padded to one number, and counted."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from swin_mmdet.ops.to_device import to_device


class Objects(NamedTuple):
    """The ground truth of B images, at most G objects each; G is one at least.

    Attributes:
        boxes: [B, G, 4] float32.
        labels: [B, G] int64.
        counts: [B] int64.
        tokens: [B, G, T] float32, shares of a text's tokens, where objects have them.
    """

    boxes: Tensor
    labels: Tensor
    counts: Tensor
    tokens: Tensor | None = None


def gather_objects(instances: Sequence[InstanceData]) -> Objects:
    """Of B images' `gt_instances`: bboxes [g, 4] and labels [g] each, with `positive_maps` [g, T] for texts."""
    boxes = pad_sequence([image.bboxes.float().reshape(-1, 4) for image in instances], batch_first=True)
    labels = pad_sequence([image.labels for image in instances], batch_first=True)
    tokens = None
    if 'positive_maps' in instances[0]:
        tokens = pad_sequence([image.positive_maps.float() for image in instances], batch_first=True)
    if not boxes.shape[1]:
        boxes, labels = F.pad(boxes, (0, 0, 0, 1)), F.pad(labels, (0, 1))
        tokens = None if tokens is None else F.pad(tokens, (0, 0, 0, 1))
    counts = to_device([len(image.bboxes) for image in instances], boxes, torch.int64)
    return Objects(boxes, labels, counts, tokens)

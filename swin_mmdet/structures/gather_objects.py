"""The objects of a batch's images, from lists of them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import InstanceData
from torch.nn.utils.rnn import pad_sequence

from swin_mmdet.ops.to_device import to_device
from swin_mmdet.structures.objects import Objects
from swin_mmdet.structures.training_batch import training_batch


def gather_objects(instances: Sequence[InstanceData]) -> Objects:
    """Of B images' `gt_instances`: bboxes [g, 4] and labels [g] each, with `positive_maps` [g, T] for texts.

    Those of a `TrainingBatch` are its own.
    """
    batch = training_batch(instances)
    if batch is not None:
        return batch.objects
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

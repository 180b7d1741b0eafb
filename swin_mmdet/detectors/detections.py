"""The detections of a batch as mmdet's parts take them: an `InstanceData` an image."""

from collections.abc import Sequence

from mmengine.structures import InstanceData

from swin_mmdet.ops.multiclass_nms import Detections


def to_instances(detections: Detections, counts: Sequence[int]) -> list[InstanceData]:
    """Bboxes [n, 4], scores [n] and labels [n] of each image, n of `counts`, for which the host has synchronised."""
    return [
        InstanceData(bboxes=boxes[:count], scores=scores[:count], labels=labels[:count])
        for boxes, scores, labels, count in zip(*detections[:3], counts, strict=True)
    ]

"""What was found in one image, as numbers and run lengths."""

from dataclasses import dataclass

import numpy as np
from mmdet.structures import DetDataSample
from pycocotools import mask as mask_utils
from torch import Tensor

from swin_mmdet.errors import UserError
from swin_mmdet.structures import EncodedMasks


@dataclass(frozen=True)
class Found:
    """N detections.

    Attributes:
        boxes: [N, 4] float32, left, top, right, bottom in pixels of the image.
        scores: [N] float32.
        labels: [N] int64.
        rles: N masks in COCO's run-length encoding, of the whole image; None of a detector without masks.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    rles: list[dict] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, chosen: np.ndarray) -> 'Found':
        """Those with these indices [n]."""
        rles = None if self.rles is None else [self.rles[index] for index in chosen.tolist()]
        return Found(self.boxes[chosen], self.scores[chosen], self.labels[chosen], rles)

    def by_score(self) -> 'Found':
        """The same, best first."""
        return self.take(np.argsort(-self.scores, kind='stable'))


def found_in(sample: DetDataSample, score_thr: float) -> Found:
    """The detections of a sample from a score on.

    Raises:
        UserError: the detector makes something else, such as a panoptic map.
    """
    if 'pred_instances' not in sample:
        made = ', '.join(name for name in sample.keys() if name.startswith('pred_')) or 'nothing'  # noqa: SIM118
        raise UserError(
            f'this detector finds no instances but {made}; of Mask2Former and MaskFormer, set '
            '--cfg-options model.test_cfg.instance_on=True'
        )
    instances = sample.pred_instances
    instances = instances[instances.scores >= score_thr].cpu()
    return Found(
        boxes=instances.bboxes.numpy().astype(np.float32).reshape(-1, 4),
        scores=instances.scores.numpy().astype(np.float32),
        labels=instances.labels.numpy().astype(np.int64),
        rles=_rles(instances.masks) if 'masks' in instances else None,
    )


def joined(parts: list[Found]) -> Found:
    """All detections of several; those of one image have masks, or those of none."""
    rles = None if parts[0].rles is None else [rle for part in parts for rle in part.rles or ()]
    boxes, scores, labels = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ('boxes', 'scores', 'labels')
    )
    return Found(boxes, scores, labels, rles)




def _rles(masks: Tensor) -> list[dict]:
    if isinstance(masks, EncodedMasks):
        return masks.rles
    # one at a time: pycocotools copies what it is given
    return [mask_utils.encode(np.asfortranarray(mask, np.uint8)) for mask in masks.numpy()]

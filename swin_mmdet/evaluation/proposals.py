"""Recall of class-agnostic proposals without COCO's area and crowd rules (mmdet's 'proposal_fast')."""

from collections.abc import Sequence

import numpy as np
from mmdet.evaluation import bbox_overlaps


def proposal_recall(
    gt_boxes: Sequence[np.ndarray],
    proposals: Sequence[np.ndarray],
    proposal_nums: Sequence[int],
    iou_thrs: Sequence[float],
) -> np.ndarray:
    """Share of the ground truth found by the first n proposals of each image: [len(proposal_nums), len(iou_thrs)].

    Boxes and proposals are corners, [G, 4] and [N, 4] per image, proposals best first. Each proposal finds one box at
    most: the pair with the largest IoU is matched first. -1 without any ground truth.
    """
    total = sum(len(boxes) for boxes in gt_boxes)
    if total == 0:
        return np.full((len(proposal_nums), len(iou_thrs)), -1.0)
    ious = [bbox_overlaps(boxes, proposed) for boxes, proposed in zip(gt_boxes, proposals)]
    recall = []
    for count in proposal_nums:
        overlaps = np.concatenate([_matched_overlaps(image[:, :count]) for image in ious])
        recall.append([(overlaps >= threshold).sum() / total for threshold in iou_thrs])
    return np.array(recall)


def _matched_overlaps(ious: np.ndarray) -> np.ndarray:
    """[G, N] -> [G]: the IoU of the proposal that each box is matched with, 0 without one."""
    matched, left = np.zeros(len(ious)), ious.copy()
    for _ in range(min(ious.shape)):
        box, proposal = np.unravel_index(left.argmax(), left.shape)
        matched[box] = left[box, proposal]
        left[box], left[:, proposal] = -1, -1
    return matched

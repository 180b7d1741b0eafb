"""Instances drawn into a picture: masks, boxes, labels."""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmdet.visualization.palette import get_palette
from mmengine.structures import InstanceData

from swin_mmdet.visualization.labels import Labels, label_text, one_place

# pixels of the longer side: below the first a picture is enlarged, to the second at least
SMALL, ENOUGH = 384, 512
FONT_SIZE = 12  # of a picture of ENOUGH
SAME_PLACE = 0.7  # IoU of detections that are one object
WHITE = (255, 255, 255)
ALPHA = 0.4  # of a mask: objects are to be seen through it


def picture_of(image: np.ndarray, instances: InstanceData, dataset_meta: dict) -> np.ndarray:
    """An image [H, W, 3] uint8 in RGB with all of these instances on it; a small one is enlarged first."""
    factor = enlargement(image)
    if factor > 1:
        image, instances = enlarged_image(image, factor), enlarged(instances, factor)
    return draw_instances(image, instances, dataset_meta.get('classes'), dataset_meta.get('palette'))


def draw_instances(
    image: np.ndarray,
    instances: InstanceData,
    classes: Sequence[str] | None,
    palette: list[tuple] | str | None,
    alpha: float = ALPHA,
) -> np.ndarray:
    """The picture [H, W, 3] in RGB with the instances on it; those without scores are not taken together."""
    picture = np.ascontiguousarray(image)
    if not len(instances):
        return picture
    labels = np.asarray(instances.labels)
    masks = as_masks(instances.masks) if 'masks' in instances else None
    boxes = boxes_of(instances, masks)
    scores = np.asarray(instances.scores) if 'scores' in instances else None
    groups = [[index] for index in range(len(labels))] if scores is None else one_place(boxes, scores, SAME_PLACE)
    colours = get_palette(palette, int(labels.max()) + 1)
    font_size = round(FONT_SIZE * max(1.0, math.sqrt(max(picture.shape[:2]) / ENOUGH)))
    line = max(1, round(font_size / 8))
    colours = [tuple(int(value) for value in colours[label]) for label in labels]
    covered = np.zeros(picture.shape[:2], bool)
    # the best last, above the others
    for best, *_ in reversed(groups):
        colour = colours[best]
        corners = boxes[best].round().astype(int).tolist()
        if masks is not None:
            mask = as_array(masks[best])
            draw_mask(picture, mask, colour, alpha)
            covered |= mask
        else:
            covered[max(corners[1], 0) : corners[3], max(corners[0], 0) : corners[2]] = True
        cv2.rectangle(picture, corners[:2], corners[2:], colour, line, cv2.LINE_AA)
    written = Labels(picture, covered, font_size)
    for group in groups:
        if 'label_names' in instances:
            names = [instances.label_names[index] for index in group]
        else:
            names = [classes[labels[index]] if classes else f'class {labels[index]}' for index in group]
        text = label_text(names, None if scores is None else scores[group].tolist())
        written.add(text, boxes[group[0]].tolist(), colours[group[0]])
    return written.draw()


def draw_mask(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], alpha: float) -> None:
    """Tint the pixels of a mask [H, W] and draw its outline."""
    # only where it is: a picture may be large, and have many
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    inside = mask[top : top + height, left : left + width]
    part = picture[top : top + height, left : left + width]
    part[inside] = (part[inside] * (1 - alpha) + np.array(colour) * alpha).astype(picture.dtype)
    outlines, _ = cv2.findContours(
        inside.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=(left, top)
    )
    cv2.drawContours(picture, outlines, -1, WHITE, 1, cv2.LINE_AA)


def boxes_of(instances: InstanceData, masks: Sequence | None) -> np.ndarray:
    """Boxes [n, 4] as left, top, right, bottom; those of the masks where a model has none."""
    boxes = instances.get('bboxes')
    if boxes is not None:
        boxes = np.asarray(getattr(boxes, 'tensor', boxes), dtype=float)
        if masks is None or boxes.any():
            return boxes
    assert masks is not None, 'detections have boxes or masks'
    found = [cv2.boundingRect(as_array(masks[index]).astype(np.uint8)) for index in range(len(masks))]
    return np.array([(x, y, x + width, y + height) for x, y, width, height in found], dtype=float)


def as_masks(masks: Any) -> Sequence:
    """Masks of any of mmdet's kinds and ours, of which each may be looked at alone: run lengths stay encoded."""
    return masks.to_ndarray() if hasattr(masks, 'to_ndarray') else masks


def as_array(masks: Any) -> np.ndarray:
    """One mask or several, of any of mmdet's kinds and ours, as bool [H, W] or [n, H, W]."""
    masks = as_masks(masks)
    return np.asarray(masks.numpy() if hasattr(masks, 'numpy') else masks).astype(bool, copy=False)


def enlargement(image: np.ndarray) -> int:
    """By which whole number a picture is to be enlarged."""
    longer = max(image.shape[:2])
    return 1 if longer >= SMALL else math.ceil(ENOUGH / longer)


def enlarged_image(image: np.ndarray, factor: int) -> np.ndarray:
    """A picture that is `factor` times as large."""
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def enlarged(instances: InstanceData, factor: int) -> InstanceData:
    """The instances for it."""
    larger = InstanceData()
    for kept in ('labels', 'scores', 'label_names'):
        if kept in instances:
            larger[kept] = instances[kept]
    if 'bboxes' in instances:
        boxes = instances.bboxes
        larger.bboxes = getattr(boxes, 'tensor', boxes) * factor
    if 'masks' in instances:
        masks = as_array(instances.masks)
        count, height, width = masks.shape
        larger.masks = np.zeros((count, height * factor, width * factor), bool)
        for mask, target in zip(masks, larger.masks):
            grey = cv2.resize(mask.astype(np.uint8) * 255, target.shape[::-1], interpolation=cv2.INTER_LINEAR)
            target[:] = grey > 127
    return larger

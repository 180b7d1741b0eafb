"""Drawn detections that can be read in pictures of any size, with many objects and at low scores."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer as MMDetVisualizer
from mmdet.visualization.palette import get_palette
from mmengine.dist import master_only
from mmengine.structures import InstanceData

from swin_mmdet.registry import VISUALIZERS
from swin_mmdet.visualization.labels import Labels, label_text, one_place

# pixels of the longer side: below the first a picture is enlarged, to the second at least
SMALL, ENOUGH = 384, 512
FONT_SIZE = 12  # of a picture of ENOUGH
SAME_PLACE = 0.7  # IoU of detections that are one object
WHITE = (255, 255, 255)
MAPS = ('gt_sem_seg', 'pred_sem_seg', 'gt_panoptic_seg', 'pred_panoptic_seg')


@VISUALIZERS.register_module()
class DetLocalVisualizer(MMDetVisualizer):
    """mmdet's visualizer, with other drawings of boxes and masks.

    Text and lines grow with the picture, and a small one is enlarged first. A label stands beside its object where
    there is room. Detections in one place share a box and a label. OpenCV and Pillow draw: on the canvas of
    matplotlib 3.11 mmdet's drawings appear twice, the picture smaller than it is.
    """

    def __init__(self, name: str = 'visualizer', *args: object, alpha: float = 0.4, **kwargs: object) -> None:
        # objects are to be seen through their masks
        super().__init__(name, *args, alpha=alpha, **kwargs)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """As in mmdet; `image` is [H, W, 3] in RGB."""
        factor = enlargement(image)
        if factor > 1 and data_sample is not None and not any(name in data_sample for name in MAPS):
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            data_sample = enlarged(data_sample, factor, pred_score_thr)
        super().add_datasample(
            name, image, data_sample, draw_gt, draw_pred, show, wait_time, out_file, pred_score_thr, step
        )

    def _draw_instances(
        self,
        image: np.ndarray,
        instances: InstanceData,
        classes: Sequence[str] | None,
        palette: list[tuple] | str | None,
    ) -> np.ndarray:
        """The picture [H, W, 3] in RGB with the instances on it; those without scores are not taken together."""
        picture = np.ascontiguousarray(image)
        if not len(instances):
            return picture
        labels = np.asarray(instances.labels)
        masks = as_array(instances.masks) if 'masks' in instances else None
        boxes = boxes_of(instances, masks)
        scores = np.asarray(instances.scores) if 'scores' in instances else None
        groups = [[index] for index in range(len(labels))] if scores is None else one_place(boxes, scores, SAME_PLACE)
        colours = get_palette(palette if self.bbox_color is None else self.bbox_color, int(labels.max()) + 1)
        font_size = round(FONT_SIZE * max(1.0, math.sqrt(max(picture.shape[:2]) / ENOUGH)))
        line = max(1, round(font_size / 8))
        colours = [tuple(int(value) for value in colours[label]) for label in labels]
        covered = np.zeros(picture.shape[:2], bool)
        # the best last, above the others
        for best, *_ in reversed(groups):
            colour = colours[best]
            corners = boxes[best].round().astype(int).tolist()
            if masks is not None:
                draw_mask(picture, masks[best], colour, self.alpha)
                covered |= masks[best]
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
    picture[mask] = (picture[mask] * (1 - alpha) + np.array(colour) * alpha).astype(picture.dtype)
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, outlines, -1, WHITE, 1, cv2.LINE_AA)


def boxes_of(instances: InstanceData, masks: np.ndarray | None) -> np.ndarray:
    """Boxes [n, 4] as left, top, right, bottom; those of the masks where a model has none."""
    boxes = instances.get('bboxes')
    if boxes is not None:
        boxes = np.asarray(getattr(boxes, 'tensor', boxes), dtype=float)
        if masks is None or boxes.any():
            return boxes
    assert masks is not None, 'detections have boxes or masks'
    found = [cv2.boundingRect(mask.astype(np.uint8)) for mask in masks]
    return np.array([(x, y, x + width, y + height) for x, y, width, height in found], dtype=float)


def as_array(masks: object) -> np.ndarray:
    """Masks of any of mmdet's kinds and ours as bool [n, H, W]."""
    masks = masks.to_ndarray() if hasattr(masks, 'to_ndarray') else masks.numpy() if hasattr(masks, 'numpy') else masks
    return np.asarray(masks).astype(bool)


def enlargement(image: np.ndarray) -> int:
    """By which whole number a picture is to be enlarged."""
    longer = max(image.shape[:2])
    return 1 if longer >= SMALL else math.ceil(ENOUGH / longer)


def enlarged(data_sample: DetDataSample, factor: int, score_thr: float) -> DetDataSample:
    """The instances for a picture that is `factor` times as large; of the predicted those above the threshold."""
    new = DetDataSample()
    for name in ('gt_instances', 'pred_instances'):
        if name not in data_sample:
            continue
        instances = data_sample.get(name).cpu()
        if 'scores' in instances:
            instances = instances[instances.scores > score_thr]
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
        setattr(new, name, larger)
    return new

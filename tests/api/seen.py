"""Stand-ins for detectors: they see what was drawn, to the pixel."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools import mask as mask_utils

from swin_mmdet.structures import EncodedMasks

Shape = tuple[str, tuple[int, int], tuple[int, int]]  # kind, centre x and y, half of width and height
KINDS = ('box', 'disc', 'ring')


def drawn(shapes: Sequence[Shape], height: int, width: int) -> np.ndarray:
    """A mosaic [H, W, 3] uint8: a shape's pixels hold its number from 1 on and its kind; shapes must not touch."""
    numbers = np.zeros((height, width), np.uint16)
    for number, (kind, centre, half) in enumerate(shapes, start=1):
        if kind == 'box':
            low = max(centre[0] - half[0], 0), max(centre[1] - half[1], 0)
            cv2.rectangle(numbers, low, (centre[0] + half[0], centre[1] + half[1]), number, -1)
        else:
            cv2.ellipse(numbers, centre, half, 0, 0, 360, number, -1)
        if kind == 'ring':
            cv2.ellipse(numbers, centre, (half[0] // 2, half[1] // 2), 0, 0, 360, 0, -1)
    kinds = np.array([0, *(KINDS.index(kind) + 1 for kind, *_ in shapes)], np.uint8)
    return np.stack([numbers % 256, numbers // 256, kinds[numbers]], -1).astype(np.uint8)


def instances_of(image: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
    """Number, label and mask [H, W] of every shape of which something is in the image."""
    numbers = image[..., 0] + 256 * image[..., 1].astype(int)
    if not numbers.any():
        return []
    return [
        (number, int(image[..., 2][numbers == number][0]) - 1, numbers == number)
        for number in np.unique(numbers[numbers > 0]).tolist()
    ]


def box_of(mask: np.ndarray) -> list[float]:
    """Left, top, right, bottom of the pixels of a mask."""
    y, x = np.nonzero(mask)
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


class Exact:
    """Finds every shape of which something is in an image, with exact boxes and masks; `sizes` of what it was given.

    A shape's score falls with its number, and is lower where less of it is seen.
    """

    def __init__(self, masks: bool = True) -> None:
        self.masks, self.sizes, self.batches = masks, [], []

    def __call__(self, images: Sequence[np.ndarray]) -> list[DetDataSample]:
        self.sizes += [image.shape[:2] for image in images]
        self.batches.append(len(images))
        return [self.sample(image) for image in images]

    def sample(self, image: np.ndarray) -> DetDataSample:
        seen = instances_of(image)
        found = InstanceData(
            bboxes=torch.tensor([box_of(mask) for *_, mask in seen], dtype=torch.float32).reshape(-1, 4),
            scores=torch.tensor([0.9 - number / 1e4 - 1 / mask.sum() for number, _, mask in seen]),
            labels=torch.tensor([label for _, label, _ in seen], dtype=torch.long),
        )
        if self.masks:
            rles = [mask_utils.encode(np.asfortranarray(mask, np.uint8)) for *_, mask in seen]
            found.masks = EncodedMasks(rles, *image.shape[:2])
        return DetDataSample(pred_instances=found)

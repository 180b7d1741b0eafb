"""Flips that leave an image in order in memory."""

import cv2
from mmdet.datasets.transforms import RandomFlip as MMDetRandomFlip

from swin_mmdet.registry import TRANSFORMS

AXES = {'horizontal': 1, 'vertical': 0, 'diagonal': -1}


@TRANSFORMS.register_module()
class RandomFlip(MMDetRandomFlip):
    """mmdet's transform, whose image is a view with negative strides, which the next step copies slowly."""

    def _flip(self, results: dict) -> None:
        image = results['img']
        super()._flip(results)
        results['img'] = cv2.flip(image, AXES[results['flip_direction']]).reshape(image.shape)

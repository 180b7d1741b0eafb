"""Annotations whose masks are not decoded before they are packed."""

import numpy as np
from mmdet.datasets.transforms import LoadAnnotations as MMDetLoadAnnotations

from swin_mmdet.registry import TRANSFORMS
from swin_mmdet.structures import LazyMasks
from swin_mmdet.structures.segmentation import MaskError, readable_mask


@TRANSFORMS.register_module()
class LoadAnnotations(MMDetLoadAnnotations):
    """mmdet's transform; where that makes bitmaps (`poly2mask=True`), `gt_masks` are `LazyMasks`, equal to them.

    Raises:
        ValueError: a mask that mmdet neither reads nor leaves out, with the image and the number of the object.
    """

    def _process_masks(self, results: dict) -> list:
        masks, ignored = [], []
        for number, instance in enumerate(results.get('instances', [])):
            try:
                mask = readable_mask(instance.get('mask'), *results['ori_shape'])
            except MaskError as error:
                raise ValueError(
                    f'the mask of object {number} of {results.get("img_path")} is {error}; check_dataset.py lists all '
                    'such annotations with their ids'
                ) from error
            if mask is None or not (self.poly2mask or isinstance(mask, list)):
                # as mmdet: kept in its place, without pixels, and ignored
                instance['ignore_flag'] = 1
                mask = [np.zeros(6)]
            masks.append([np.array(polygon) for polygon in mask] if isinstance(mask, list) else mask)
            ignored.append(instance['ignore_flag'])
        results['gt_ignore_flags'] = np.array(ignored, dtype=bool)
        return masks

    def _load_masks(self, results: dict) -> None:
        if self.poly2mask:
            results['gt_masks'] = LazyMasks(self._process_masks(results), *results['ori_shape'])
        else:
            super()._load_masks(results)

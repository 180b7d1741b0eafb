"""Samples as they travel to the training process."""

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs as MMDetPackDetInputs
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from swin_mmdet.registry import TRANSFORMS
from swin_mmdet.structures import LazyMasks, PackedMasks


@TRANSFORMS.register_module()
class PackDetInputs(MMDetPackDetInputs):
    """mmdet's transform, with an image that is not transposed and masks of one bit a pixel.

    `inputs` [C, H, W] is a view of the image [H, W, C]: its values and shape are mmdet's, its strides are not. Masks
    become `PackedMasks`, except polygons.
    """

    def transform(self, results: dict) -> dict:
        packed = super().transform({key: value for key, value in results.items() if key != 'img'})
        if 'img' in results:
            image = np.ascontiguousarray(results['img'])
            packed['inputs'] = torch.from_numpy(np.atleast_3d(image)).permute(2, 0, 1)
        sample = packed['data_samples']
        for instances in (sample.gt_instances, sample.ignored_instances):
            _pack_masks(instances)
        return packed


def _pack_masks(instances: InstanceData) -> None:
    masks = instances.get('masks')
    if isinstance(masks, LazyMasks):
        instances.masks = masks.pack()
    elif isinstance(masks, BitmapMasks):
        instances.masks = PackedMasks.from_bitmap(masks)

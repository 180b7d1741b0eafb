"""Albumentations on images with masks of any kind, also where the size of the image changes."""

from mmdet.datasets.transforms import Albu as MMDetAlbu
from mmdet.structures.mask import BitmapMasks

from swin_mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Albu(MMDetAlbu):
    """mmdet's transform; masks get the size of the image after it, also when no object is left.

    mmdet's gives them the old size unless `bbox_params` has 'filter_lost_elements', so that Resize fails, and pixels
    of CenterCrop and Transpose may be put together wrongly; with it, an image that lost all its objects fails.
    """

    def _postprocess_results(self, results: dict, ori_masks: BitmapMasks | None = None) -> dict | None:
        masks = results.pop('masks', None)
        results = super()._postprocess_results(results)
        if results is not None and masks is not None and ori_masks is not None:
            if self.filter_lost_elements and 'idx_mapper' in results:
                masks = [masks[int(index)] for index in results['idx_mapper']]
            results['masks'] = type(ori_masks)(list(masks), *results['image'].shape[:2])
        return results

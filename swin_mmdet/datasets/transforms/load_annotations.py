"""Annotations whose masks are not decoded before they are packed."""

from mmdet.datasets.transforms import LoadAnnotations as MMDetLoadAnnotations

from swin_mmdet.datasets.lazy_masks import LazyMasks
from swin_mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadAnnotations(MMDetLoadAnnotations):
    """mmdet's transform; where that makes bitmaps (`poly2mask=True`), `gt_masks` are `LazyMasks`, equal to them."""

    def _load_masks(self, results: dict) -> None:
        if self.poly2mask:
            results['gt_masks'] = LazyMasks(self._process_masks(results), *results['ori_shape'])
        else:
            super()._load_masks(results)

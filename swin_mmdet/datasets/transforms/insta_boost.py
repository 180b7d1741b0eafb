"""Objects jittered in place, for any annotation of COCO."""

from mmdet.datasets.transforms import InstaBoost as MMDetInstaBoost

from swin_mmdet.registry import TRANSFORMS
from swin_mmdet.structures.segmentation import readable_mask, run_lengths


@TRANSFORMS.register_module()
class InstaBoost(MMDetInstaBoost):
    """mmdet's transform (arXiv 1908.07801), also for objects with compressed RLE, which instaboostfast cannot read.

    It goes before the loading of annotations.

    Raises:
        ImportError: the package instaboostfast is missing.
    """

    def _load_anns(self, results: dict) -> tuple[list, list]:
        anns, left_out = super()._load_anns(results)
        for ann in anns:
            ann['segmentation'] = readable(ann['segmentation'])
        return anns, left_out


def readable(segmentation: list | dict) -> list | dict:
    """The same mask as polygons or as RLE with a list of counts.

    Raises:
        ValueError: text that is no RLE.
    """
    if isinstance(segmentation, list) or isinstance(segmentation['counts'], list):
        return segmentation
    rle = readable_mask(segmentation, *segmentation['size'])
    assert isinstance(rle, dict)  # of text, which it has decoded or refused
    counts = run_lengths(rle['counts'])
    assert counts is not None
    return rle | dict(counts=counts.tolist())

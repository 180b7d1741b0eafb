"""mmdet's Mask2Former (arXiv 2112.01527), whose masks stay as small as they are predicted until one is kept."""

from mmdet.models.detectors import Mask2Former as MMDetMask2Former
from mmdet.structures import SampleList
from torch import Tensor

from swin_mmdet.detectors.mask2former_head import Mask2FormerHead
from swin_mmdet.detectors.mask_fusion_head import MaskFormerFusionHead
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class Mask2Former(MMDetMask2Former):
    """mmdet's `Mask2Former`: same parameters, arguments and results."""

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Samples with `pred_instances`, `pred_panoptic_seg`, or both."""
        head, fusion = self.panoptic_head, self.panoptic_fusion_head
        if not isinstance(head, Mask2FormerHead) or not isinstance(fusion, MaskFormerFusionHead):
            return super().predict(batch_inputs, batch_data_samples, rescale)
        predictions = head.predict_small(self.extract_feat(batch_inputs))
        return self.add_pred_to_datasample(
            batch_data_samples, fusion.predict(*predictions, batch_data_samples, rescale=rescale)
        )

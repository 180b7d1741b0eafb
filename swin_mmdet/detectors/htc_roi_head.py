"""mmdet's hybrid task cascade with predictions for a batch at once."""

from collections.abc import Sequence

from mmdet.models.roi_heads import HybridTaskCascadeRoIHead as MMDetHybridTaskCascadeRoIHead
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.prediction import BatchedCascadePrediction
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class HybridTaskCascadeRoIHead(BatchedCascadePrediction, MMDetHybridTaskCascadeRoIHead):
    """mmdet's `HybridTaskCascadeRoIHead`, of HTC: same parameters, arguments, losses and detections.

    Training is mmdet's. What is set otherwise (another NMS or head) predicts as in mmdet; the log says so.
    """

    def loss(
        self, x: tuple[Tensor, ...], rpn_results_list: Sequence[InstanceData], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """The losses of each stage, such as `s0.loss_cls`, and `loss_semantic_seg`; arguments as in mmdet.

        Raises:
            ValueError: there is a semantic branch, and an image without a semantic map.
        """
        if self.with_semantic:
            for sample in batch_data_samples:
                if 'gt_sem_seg' not in sample:
                    raise ValueError(
                        f'HTC with a semantic branch trains on semantic maps, and there is none of {sample.img_path}: '
                        "set data_prefix['seg'] and LoadAnnotations(with_seg=True), or semantic_head=None"
                    )
        return super().loss(x, rpn_results_list, batch_data_samples)

    def predict_mask(
        self,
        x: tuple[Tensor, ...],
        semantic_heat: Tensor | None,
        batch_img_metas: Sequence[dict],
        results_list: list[InstanceData],
        rescale: bool = False,
    ) -> list[InstanceData]:
        """As `BatchedPrediction.predict_mask`; `semantic_heat` [B, C, H, W] is the map of the semantic branch."""
        return super().predict_mask(x, batch_img_metas, results_list, rescale, semantic_heat=semantic_heat)

"""mmdet's hybrid task cascade (arXiv 1901.07518) for a batch at once."""

from collections.abc import Sequence

import torch
from mmdet.models.roi_heads import HybridTaskCascadeRoIHead as MMDetHybridTaskCascadeRoIHead
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.cascade_training import BatchedCascadeTraining
from swin_mmdet.detectors.prediction import BatchedCascadePrediction
from swin_mmdet.ops.roi_align import channels_innermost
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class HybridTaskCascadeRoIHead(BatchedCascadeTraining, BatchedCascadePrediction, MMDetHybridTaskCascadeRoIHead):
    """mmdet's `HybridTaskCascadeRoIHead`, of HTC: same parameters, arguments, losses and detections.

    What is set otherwise (another assigner, sampler, loss or head, `interleaved` without masks) trains or predicts as
    in mmdet; the log says so.
    """

    def loss(
        self, x: Sequence[Tensor], rpn_results_list: Sequence[InstanceData], batch_data_samples: SampleList
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

    def _before_stages(self, x: Sequence[Tensor], samples: SampleList) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """`loss_semantic_seg` and `semantic_feat` [B, C, H, W], where there is a semantic branch."""
        if not self.with_semantic:
            return {}, {}
        predicted, features = self.semantic_head(x)
        maps = torch.stack([sample.gt_sem_seg.sem_seg for sample in samples])
        losses = {'loss_semantic_seg': self.semantic_head.loss(predicted, maps)}
        return losses, {'semantic_feat': channels_innermost([features])[0]}

    def predict_mask(  # type: ignore[override]  # mmdet's HTC calls it so
        self,
        x: tuple[Tensor, ...],
        semantic_heat: Tensor | None,
        batch_img_metas: Sequence[dict],
        results_list: list[InstanceData],
        rescale: bool = False,
    ) -> list[InstanceData]:
        """As `BatchedPrediction.predict_mask`; `semantic_heat` [B, C, H, W] is the map of the semantic branch."""
        return super().predict_mask(x, batch_img_metas, results_list, rescale, semantic_heat=semantic_heat)

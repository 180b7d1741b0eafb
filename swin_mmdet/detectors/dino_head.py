"""mmdet's head of DINO (arXiv 2203.03605) for all layers and images at once."""

from collections.abc import Sequence

from mmdet.models.dense_heads import DINOHead as MMDetDINOHead
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.deformable_detr_head import RefiningHead
from swin_mmdet.detectors.denoising import denoising_matches
from swin_mmdet.detectors.set_losses import PredictedSets, joined, layer_names
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class DINOHead(RefiningHead, MMDetDINOHead):
    """mmdet's `DINOHead`: same parameters, arguments, losses and detections."""

    REPLACED = (
        *RefiningHead.REPLACED,
        'loss_dn',
        '_loss_dn_single',
        'get_dn_targets',
        '_get_dn_targets_single',
        'split_outputs',
    )

    def loss_by_feat(
        self,
        all_layers_cls_scores: Tensor,
        all_layers_bbox_preds: Tensor,
        enc_cls_scores: Tensor | None,
        enc_bbox_preds: Tensor | None,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict],
        dn_meta: dict[str, int],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """`loss_cls`, `loss_bbox`, `loss_iou`, those of other layers, of the encoder and of denoising; as in mmdet."""
        if batch_gt_instances_ignore is not None or self._trains_as_mmdet():
            return super().loss_by_feat(
                all_layers_cls_scores, all_layers_bbox_preds, enc_cls_scores, enc_bbox_preds, batch_gt_instances,
                batch_img_metas, dn_meta, batch_gt_instances_ignore,
            )  # fmt: skip
        layers, queries = len(all_layers_cls_scores), all_layers_cls_scores.shape[2]
        noisy = dn_meta['num_denoising_queries']
        scores, boxes = (
            every.split([noisy, queries - noisy], 2) for every in (all_layers_cls_scores, all_layers_bbox_preds)
        )
        predicted = [PredictedSets(scores[1], boxes[1], layer_names(layers))]
        if enc_cls_scores is not None and enc_bbox_preds is not None:
            predicted.append(PredictedSets(enc_cls_scores[None], enc_bbox_preds[None], ('enc_',)))
        denoised = PredictedSets(scores[0], boxes[0], layer_names(layers, 'dn_'))
        matches = denoising_matches(batch_gt_instances, dn_meta, layers)
        return self._losses(joined(predicted), batch_gt_instances, batch_img_metas, (denoised, matches))

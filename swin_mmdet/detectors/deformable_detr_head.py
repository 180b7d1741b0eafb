"""mmdet's head of Deformable DETR (arXiv 2010.04159) for all layers and images at once."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import DeformableDETRHead as MMDetDeformableDETRHead
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.box_branches import box_changes, classify
from swin_mmdet.detectors.query_head import BatchedQueryHead
from swin_mmdet.detectors.set_losses import PredictedSets, layer_names
from swin_mmdet.ops.coordinates import inverse_sigmoid, with_sizes
from swin_mmdet.registry import MODELS


class RefiningHead(BatchedQueryHead):
    """Goes before mmdet's `DeformableDETRHead`, or a class of it, in the bases of a head."""

    # of mmdet's head: a branch for each layer
    cls_branches: nn.ModuleList
    reg_branches: nn.ModuleList

    def forward(self, hidden_states: Tensor, references: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits [S, B, P, classes] and boxes [S, B, P, 4] float32 of states [S, B, P, C] and S references or more.

        A reference is boxes [B, P, 4] or points [B, P, 2].
        """
        return self._forward_layers(hidden_states, references, range(len(hidden_states)))

    def _forward_layers(
        self, hidden_states: Tensor, references: Sequence[Tensor], layers: Sequence[int], *text: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of some layers, whose states and references are among those of all; `text` is for the branches of classes."""
        if len(layers) < len(hidden_states):
            hidden_states = hidden_states[layers[0] : layers[-1] + 1]
        own = inverse_sigmoid(torch.stack([with_sizes(references[layer]) for layer in layers]))
        changes = box_changes([self.reg_branches[layer] for layer in layers], hidden_states)
        scores = self._classify([self.cls_branches[layer] for layer in layers], hidden_states, *text)
        return scores, (changes + own).sigmoid()

    def _classify(self, branches: Sequence[nn.Module], states: Tensor, *_text: Tensor) -> Tensor:
        """Logits of states [S, B, P, C], each layer's by its own branch."""
        return classify(branches, states)

    def predict(
        self,
        hidden_states: Tensor,
        references: Sequence[Tensor],
        batch_data_samples: SampleList,
        rescale: bool = True,
    ) -> list[InstanceData]:
        """Detections of each image; only the last layer's are made."""
        outputs = self._forward_layers(hidden_states, references, [len(hidden_states) - 1])
        metas = [sample.metainfo for sample in batch_data_samples]
        return self.predict_by_feat(*outputs, batch_img_metas=metas, rescale=rescale)

    def predict_by_feat(
        self,
        all_layers_cls_scores: Tensor,
        all_layers_bbox_preds: Tensor,
        batch_img_metas: Sequence[dict],
        rescale: bool = False,
    ) -> list[InstanceData]:
        """As `BatchedQueryHead`'s, in pixels of the image that the model saw if nothing is said."""
        return super().predict_by_feat(all_layers_cls_scores, all_layers_bbox_preds, batch_img_metas, rescale)


@MODELS.register_module()
class DeformableDETRHead(RefiningHead, MMDetDeformableDETRHead):
    """mmdet's `DeformableDETRHead`: same parameters, arguments, losses and detections."""

    def loss_by_feat(
        self,
        all_layers_cls_scores: Tensor,
        all_layers_bbox_preds: Tensor,
        enc_cls_scores: Tensor | None,
        enc_bbox_preds: Tensor | None,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """`loss_cls`, `loss_bbox`, `loss_iou`, those of other layers and of the encoder; arguments as in mmdet."""
        if batch_gt_instances_ignore is not None or self._trains_as_mmdet():
            return super().loss_by_feat(
                all_layers_cls_scores, all_layers_bbox_preds, enc_cls_scores, enc_bbox_preds, batch_gt_instances,
                batch_img_metas, batch_gt_instances_ignore,
            )  # fmt: skip
        predicted = [
            PredictedSets(all_layers_cls_scores, all_layers_bbox_preds, layer_names(len(all_layers_cls_scores)))
        ]
        if enc_cls_scores is not None and enc_bbox_preds is not None:
            # of every pixel, which knows nothing of classes
            predicted.append(PredictedSets(enc_cls_scores[None], enc_bbox_preds[None], ('enc_',), agnostic=True))
        return self._losses(predicted, batch_gt_instances, batch_img_metas)

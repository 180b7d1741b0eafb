"""mmdet's head of Grounding DINO (arXiv 2303.05499) for all layers and images at once."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import GroundingDINOHead as MMDetGroundingDINOHead
from mmdet.models.losses import FocalLoss
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.dino_head import DINOHead
from swin_mmdet.detectors.query_head import best_of_classes, detections
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.to_device import to_device
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class GroundingDINOHead(DINOHead, MMDetGroundingDINOHead):
    """mmdet's `GroundingDINOHead`: same parameters, arguments, losses and detections.

    Its classes are tokens of a text; the objects of an image (`positive_maps` of its instances) name theirs.
    """

    def forward(  # type: ignore[override]  # mmdet's detector calls these with the text
        self, hidden_states: Tensor, references: Sequence[Tensor], memory_text: Tensor, text_token_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits of tokens [S, B, P, T] and boxes [S, B, P, 4] float32 of states [S, B, P, C] and S references or more.

        `memory_text` [B, N, C] and which of its tokens there are [B, N]; a token that is none has a logit of -inf.
        """
        return self._forward_layers(
            hidden_states, references, range(len(hidden_states)), memory_text, text_token_mask
        )

    def _classify(  # type: ignore[override]
        self, branches: Sequence[nn.Module], states: Tensor, memory_text: Tensor, text_token_mask: Tensor
    ) -> Tensor:
        if any(True for branch in branches for _ in branch.parameters()):
            each = zip(branches, states, strict=True)
            return torch.stack([branch(state, memory_text, text_token_mask) for branch, state in each])
        # a product with the text and nothing else
        return branches[0](states, memory_text, text_token_mask)

    def _why_not_batched(self) -> str | None:
        if type(self.loss_cls) is not FocalLoss:
            return f'loss_cls is {type(self.loss_cls).__name__}'
        return super()._why_not_batched()

    def predict(  # type: ignore[override]
        self,
        hidden_states: Tensor,
        references: Sequence[Tensor],
        memory_text: Tensor,
        text_token_mask: Tensor,
        batch_data_samples: SampleList,
        rescale: bool = True,
    ) -> list[InstanceData]:
        """Detections of each image; only the last layer's are made."""
        predictions = self._forward_layers(
            hidden_states, references, [len(hidden_states) - 1], memory_text, text_token_mask
        )
        metas = [sample.metainfo for sample in batch_data_samples]
        maps = [sample.token_positive_map for sample in batch_data_samples]
        return self.predict_by_feat(*predictions, metas, maps, rescale)

    def predict_by_feat(  # type: ignore[override]
        self,
        all_layers_cls_scores: Tensor,
        all_layers_bbox_preds: Tensor,
        batch_img_metas: Sequence[dict],
        batch_token_positive_maps: Sequence[dict[int, list[int]] | None] | None = None,
        rescale: bool = False,
    ) -> list[InstanceData]:
        """Bboxes [n, 4], scores [n] and labels [n] of each image, best first, from the last layer.

        A map has the tokens of each class, which count from 1; without one a box is as probable as its best token, and
        of class 0.
        """
        maps = batch_token_positive_maps or [None]
        reason = None
        if not type(self)._predict_by_feat_single.__module__.startswith('mmdet.'):
            reason = f'{type(self).__name__} has a _predict_by_feat_single of its own'
        elif not batch_token_positive_maps or any(one != maps[0] for one in maps):
            reason = 'images have texts of their own'
        if reason is not None:
            log_once(f'GroundingDINOHead: boxes are predicted image by image: {reason}')
            return MMDetGroundingDINOHead.predict_by_feat(
                self, all_layers_cls_scores, all_layers_bbox_preds, batch_img_metas, batch_token_positive_maps,
                rescale,
            )  # fmt: skip
        tokens = all_layers_cls_scores[-1].float().sigmoid()
        scores = tokens.amax(-1, keepdim=True) if maps[0] is None else _of_classes(tokens, maps[0])
        max_per_img = self.test_cfg.get('max_per_img', scores.shape[1])
        scores, indices, labels = best_of_classes(scores, max_per_img)
        return detections(scores, labels, all_layers_bbox_preds[-1].float(), indices, batch_img_metas, rescale)


def _of_classes(tokens: Tensor, words: dict[int, list[int]]) -> Tensor:
    """Each class is as probable as its tokens on average: [B, P, T] -> [B, P, classes]."""
    shares = [[0.0] * len(words) for _ in range(tokens.shape[-1])]
    for label, own in words.items():
        for token in own:
            shares[token][label - 1] = 1 / len(own)
    with torch.autocast(tokens.device.type, enabled=False):
        return tokens @ to_device(shares, tokens)

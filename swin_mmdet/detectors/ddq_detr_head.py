"""mmdet's head of DDQ DETR (arXiv 2303.12776) for all layers and images at once."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import DDQDETRHead as MMDetDDQDETRHead
from mmdet.models.losses import DDQAuxLoss
from mmdet.structures import SampleList
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.denoising import denoising_matches
from swin_mmdet.detectors.dense_queries import dense_costs, dense_losses, match_several, why_not_dense_losses
from swin_mmdet.detectors.dino_head import DINOHead
from swin_mmdet.detectors.image_sizes import image_sizes
from swin_mmdet.detectors.query_head import BatchedQueryHead
from swin_mmdet.detectors.set_losses import PredictedSets, by_name, joined, layer_names, pairs_that_count, set_losses
from swin_mmdet.detectors.set_matching import AsyncCosts, match_cheapest
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import gather_objects

# a pair that costs as much is made only where there is no other
NEVER = 1e6


@MODELS.register_module()
class DDQDETRHead(BatchedQueryHead, MMDetDDQDETRHead):
    """mmdet's `DDQDETRHead`: same parameters, arguments, losses and detections.

    All is float32: under autocast mmdet's boxes are of half precision, by pixels off, and its targets cannot be written
    into them.
    """

    # of mmdet's head
    aux_loss_for_dense: DDQAuxLoss
    cache_dict: dict

    REPLACED = (*DINOHead.REPLACED, 'loss_by_feat', 'loss_for_distinct_queries', '_loss_for_distinct_queries_single')

    def _why_not_batched(self) -> str | None:
        if self.bg_cls_weight:
            return f'bg_cls_weight={self.bg_cls_weight}'
        return super()._why_not_batched() or why_not_dense_losses(self.aux_loss_for_dense)

    def loss(self, hidden_states: Tensor, references: Sequence[Tensor], *args, **kwargs) -> dict[str, Tensor]:
        """As of mmdet's."""
        given = hidden_states, references, *args
        with torch.autocast(hidden_states.device.type, enabled=False):
            return self._loss(*map(_wide, given), **{name: _wide(value) for name, value in kwargs.items()})

    def _loss(
        self,
        hidden_states: Tensor,
        references: Sequence[Tensor],
        enc_outputs_class: Tensor,
        enc_outputs_coord: Tensor,
        batch_data_samples: SampleList,
        dn_meta: dict[str, int],
        aux_enc_outputs_class: Tensor,
        aux_enc_outputs_coord: Tensor,
    ) -> dict[str, Tensor]:
        if self._trains_as_mmdet():
            return super().loss(
                hidden_states, references, enc_outputs_class, enc_outputs_coord, batch_data_samples, dn_meta,
                aux_enc_outputs_class, aux_enc_outputs_coord,
            )  # fmt: skip
        outputs = self(hidden_states, references)
        noisy, dense = dn_meta['num_denoising_queries'], dn_meta['num_dense_queries']
        scores, boxes = (every.split([noisy, every.shape[2] - noisy - dense, dense], 2) for every in outputs)
        layers = len(hidden_states)
        every_query = torch.ones_like(enc_outputs_class[None, ..., 0], dtype=torch.bool)
        kept = torch.cat([every_query, *self._distinct(layers)])
        distinct = [
            PredictedSets(scores[1], boxes[1], layer_names(layers), kept=kept),
            PredictedSets(enc_outputs_class[None], enc_outputs_coord[None], ('enc_',), kept=every_query),
        ]
        several = [
            PredictedSets(scores[2], boxes[2], tuple(f'{layer}_aux_' for layer in range(layers))),
            PredictedSets(aux_enc_outputs_class[None], aux_enc_outputs_coord[None], ('aux_enc_',)),
        ]
        denoised = PredictedSets(scores[0], boxes[0], layer_names(layers, 'dn_'))
        return self._losses_of(joined(distinct), joined(several), denoised, batch_data_samples, dn_meta)

    def _losses_of(
        self,
        distinct: Sequence[PredictedSets],
        several: Sequence[PredictedSets],
        denoised: PredictedSets,
        samples: SampleList,
        dn_meta: dict[str, int],
    ) -> dict[str, Tensor]:
        """By mmdet's names, of sets of distinct queries, of dense ones and of those that know their objects."""
        instances = [sample.gt_instances for sample in samples]
        counts = [len(image.bboxes) for image in instances]
        sizes = image_sizes([sample.metainfo for sample in samples], denoised.boxes)
        objects = gather_objects(instances)
        costs = [_among_kept(one, self._costs_of(one, objects, sizes)) for one in distinct]
        costs += [dense_costs(self.aux_loss_for_dense, one, objects, sizes) for one in several]
        copied = AsyncCosts(costs)
        # while the costs are on their way
        matches = denoising_matches(instances, dn_meta, len(denoised.scores))
        factors = self._factors([sum(matches.counts)], [sum(matches.counts)], sizes)
        last = by_name(denoised, set_losses(self, denoised, matches, sizes, factors[0]))
        arrived, losses, dense = copied.wait(), {}, {}
        for one, cost in zip(distinct, arrived, strict=False):
            matches = match_cheapest(cost, instances)
            pairs = pairs_that_count(one, matches).sum(1).to(sizes.dtype)
            every = reduce_mean(pairs)
            factors = torch.stack([every if self.sync_cls_avg_factor else pairs, every]).clamp(min=1)
            losses |= by_name(one, set_losses(self, one, matches, sizes, factors))
        for one, cost in zip(several, arrived[len(distinct) :], strict=True):
            matches = match_several(cost, instances, self.aux_loss_for_dense.assigner.topk)
            found = dense_losses(self.aux_loss_for_dense, one, matches, sizes, counts)
            for layer, before in enumerate(one.names):
                dense |= {f'{before}{name}': list(loss[layer]) for name, loss in found.items()}
        return losses | last | dense

    def _distinct(self, layers: int) -> list[Tensor]:
        """Which queries count in each layer but the first, [1, B, P] bool each: those that it was given as such."""
        # of an image's heads, whose masks are the same, and of its rows the first, as in mmdet
        masks = self.cache_dict['distinct_query_mask'][: layers - 1]
        return [one[None, :: self.cache_dict['num_heads'], 0] for one in masks]

    def predict(
        self, hidden_states: Tensor, references: Sequence[Tensor], batch_data_samples: SampleList, rescale: bool = True
    ) -> list[InstanceData]:
        """As of mmdet's."""
        with torch.autocast(hidden_states.device.type, enabled=False):
            return super().predict(_wide(hidden_states), _wide(references), batch_data_samples, rescale)

    def predict_by_feat(
        self, layer_cls_scores: Tensor, layer_bbox_preds: Tensor, batch_img_metas: Sequence[dict], rescale: bool = True
    ) -> list[InstanceData]:
        """As of mmdet's: only queries that are distinct before the last layer are detections."""
        distinct = self.cache_dict['distinct_query_mask'][-1][:: self.cache_dict['num_heads'], 0]
        scores = layer_cls_scores[-1:].masked_fill(~distinct[..., None], -torch.inf)
        return super().predict_by_feat(scores, layer_bbox_preds[-1:], batch_img_metas, rescale)


def _among_kept(one: PredictedSets, costs: Tensor) -> Tensor:
    """Costs [B, P, G] of distinct queries: those that are not kept are matched with nothing."""
    assert one.kept is not None
    return costs.masked_fill(~one.kept[:, :, None], NEVER)


def _wide(value: Any) -> Any:
    """Tensors of floating point, also those of a list, in float32."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_wide, value))
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value

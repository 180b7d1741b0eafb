"""What mmdet's heads of DETR and its kin share when they take all layers of a decoder and all images at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from mmdet.models.task_modules import HungarianAssigner
from mmdet.utils import reduce_mean
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.image_sizes import image_sizes
from swin_mmdet.detectors.set_losses import PredictedSets, by_name, set_losses, why_not_losses
from swin_mmdet.detectors.set_matching import (
    AsyncCosts,
    Matches,
    match_cheapest,
    pair_costs,
    why_not_matched_together,
)
from swin_mmdet.ops.box_overlaps import corners_of
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.to_device import to_device
from swin_mmdet.structures import Objects, gather_objects

if TYPE_CHECKING:
    from mmdet.models.dense_heads import DETRHead as Base
else:
    Base = object


class BatchedQueryHead(Base):
    """Goes before a class of mmdet's `DETRHead` in the bases of a head: the same losses and detections, in one go.

    In training the host synchronises with a GPU once a step, for what it costs to match predictions with objects;
    detections are found without that. Boxes and losses are float32 also under autocast. What is set otherwise (another
    assigner or loss, a method of a subclass) trains as in mmdet; the log says so.
    """

    # of mmdet's head
    assigner: HungarianAssigner
    bg_cls_weight: float
    sync_cls_avg_factor: bool
    loss_cls: nn.Module
    test_cfg: ConfigDict

    # what `_losses` does in their stead
    REPLACED: tuple[str, ...] = ('loss_by_feat_single', 'get_targets', '_get_targets_single')

    def _why_not_batched(self) -> str | None:
        """None when `_losses` are this head's, else why in words."""
        for name in self.REPLACED:
            if not getattr(type(self), name).__module__.startswith('mmdet.'):
                return f'{type(self).__name__} has a {name} of its own'
        return why_not_matched_together([self.assigner]) or why_not_losses(self)

    def _trains_as_mmdet(self) -> bool:
        """Whether, and says so."""
        reason = self._why_not_batched()
        if reason is not None:
            log_once(f'{type(self).__name__}: training as in mmdet: {reason}')
        return reason is not None

    def _losses(
        self,
        predicted: Sequence[PredictedSets],
        instances: Sequence[InstanceData],
        metas: Sequence[dict],
        denoised: tuple[PredictedSets, Matches] | None = None,
    ) -> dict[str, Tensor]:
        """The losses of sets that are to be matched, and of one whose queries know their objects, by mmdet's names."""
        sizes = image_sizes(metas, predicted[0].boxes)
        objects = gather_objects(instances)
        costs = AsyncCosts([self._costs_of(one, objects, sizes) for one in predicted])
        counts = [len(image.bboxes) for image in instances]
        pairs = [sum(min(count, one.boxes.shape[2]) for count in counts) for one in predicted]
        unmatched = [one.boxes[0, ..., 0].numel() - pair for one, pair in zip(predicted, pairs, strict=True)]
        if denoised is not None:
            # of an object there is one query near to it and one that is farther off
            pairs, unmatched = [*pairs, sum(denoised[1].counts)], [*unmatched, sum(denoised[1].counts)]
        factors = self._factors(pairs, unmatched, sizes)
        losses = {}
        # while the costs are on their way
        if denoised is not None:
            last = by_name(denoised[0], set_losses(self, *denoised, sizes, factors[-1]))
        for one, cost, factor in zip(predicted, costs.wait(), factors, strict=False):
            losses |= by_name(one, set_losses(self, one, match_cheapest(cost, instances), sizes, factor))
        return losses if denoised is None else losses | last

    def _costs_of(self, predicted: PredictedSets, objects: Objects, sizes: Tensor) -> Tensor:
        """[S, B, G, P]."""
        if predicted.agnostic:
            objects = objects._replace(labels=torch.zeros_like(objects.labels))
        boxes = corners_of(predicted.boxes.detach().float()) * sizes[:, None]
        return pair_costs(self.assigner, predicted.scores.detach(), boxes, objects, sizes)

    def _factors(self, pairs: Sequence[int], unmatched: Sequence[int], like: Tensor) -> Tensor:
        """What losses of classes and of boxes are divided by, over all processes in one go: [sets, 2] float32.

        Of each set how many predictions of a layer have an object, and how many have none.
        """
        own = [[pair + none * self.bg_cls_weight, pair] for pair, none in zip(pairs, unmatched, strict=True)]
        own = to_device(own, like, torch.float32)
        every = reduce_mean(own)
        if not self.sync_cls_avg_factor:
            every = torch.stack([own[:, 0], every[:, 1]], 1)
        return every.clamp(min=1)

    def predict_by_feat(
        self, layer_cls_scores: Tensor, layer_bbox_preds: Tensor, batch_img_metas: Sequence[dict], rescale: bool = True
    ) -> list[InstanceData]:
        """Bboxes [n, 4], scores [n] and labels [n] of each image, best first, from the last layer.

        Logits [S, B, P, C] and center and size in shares of the image [S, B, P, 4]; with `rescale` in pixels of the
        original image.
        """
        if not type(self)._predict_by_feat_single.__module__.startswith('mmdet.'):
            name = type(self).__name__
            log_once(f'{name}: boxes are predicted image by image: it has a _predict_by_feat_single of its own')
            return super().predict_by_feat(layer_cls_scores, layer_bbox_preds, batch_img_metas, rescale)
        scores, boxes = layer_cls_scores[-1].float(), layer_bbox_preds[-1].float()
        max_per_img = self.test_cfg.get('max_per_img', boxes.shape[1])
        if self.loss_cls.use_sigmoid:
            scores, indices, labels = best_of_classes(scores, max_per_img)
            scores = scores.sigmoid()
        else:
            scores, labels = scores.softmax(-1)[..., :-1].max(-1)
            scores, indices = scores.topk(max_per_img)
            labels = labels.gather(1, indices)
        return detections(scores, labels, boxes, indices, batch_img_metas, rescale)


def best_of_classes(scores: Tensor, max_per_img: int) -> tuple[Tensor, Tensor, Tensor]:
    """The largest of each image's scores [B, P, C], of which prediction and class each is: three of [B, n]."""
    classes = scores.shape[-1]
    scores, flat = scores.flatten(1).topk(max_per_img)
    return scores, flat // classes, flat % classes


def detections(
    scores: Tensor, labels: Tensor, boxes: Tensor, indices: Tensor, metas: Sequence[dict], rescale: bool
) -> list[InstanceData]:
    """Of each image, with scores, labels and numbers of boxes [B, n]; boxes [B, P, 4] as `PredictedSets` has them.

    In pixels of the image that the model saw, with `rescale` of the original one.
    """
    sizes = image_sizes(metas, boxes)[:, None]
    boxes = corners_of(boxes.gather(1, indices[..., None].expand(-1, -1, 4))) * sizes
    boxes = torch.minimum(boxes.clamp(min=0), sizes)
    if rescale:
        factors = [[*meta['scale_factor']] * 2 for meta in metas]
        boxes = boxes / to_device(factors, boxes)[:, None]
    return [
        InstanceData(bboxes=box, scores=score, labels=label)
        for box, score, label in zip(boxes, scores, labels, strict=True)
    ]

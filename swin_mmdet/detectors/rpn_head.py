"""mmdet's region proposal head for a batch at once: no loop over images, no synchronisation."""

from collections.abc import Sequence
from itertools import accumulate

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import RPNHead as MMDetRPNHead
from mmdet.models.losses import CrossEntropyLoss
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.anchors import KeepsAnchors
from swin_mmdet.detectors.elementwise import CLASS_LOSSES, why_not_elementwise
from swin_mmdet.detectors.maps import flatten_maps, sizes_of
from swin_mmdet.detectors.matching import (
    Ignored,
    class_weight,
    count_chosen,
    decode_in_images,
    regression,
    rule_of,
    sampling_of,
    weighted_loss,
    why_not_coded,
    why_not_matched,
    without_small,
)
from swin_mmdet.ops.batched_nms import batched_nms
from swin_mmdet.ops.box_assignment import assign_boxes
from swin_mmdet.ops.box_sampling import sample_boxes
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.to_device import constant
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import BatchedProposals, gather_objects


@MODELS.register_module()
class RPNHead(KeepsAnchors, MMDetRPNHead):
    """mmdet's `RPNHead`: same parameters, arguments, losses and proposals.

    Anchors are sampled first, and the losses are made of the sampled ones alone; each is one number, not one a level.
    What is set otherwise than in an R-CNN (another assigner, sampler, coder or NMS) runs as in mmdet; the log says so.
    """

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """`loss_rpn_cls` and `loss_rpn_bbox`, each []; arguments as in mmdet."""
        reason = self._why_not_trained(batch_gt_instances_ignore)
        if reason is not None:
            log_once(f'RPNHead: training as in mmdet: {reason}')
            return super().loss_by_feat(
                cls_scores, bbox_preds, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore
            )
        anchors, inside = self._anchors_of(cls_scores, batch_img_metas)
        objects = gather_objects(batch_gt_instances)
        assigned = assign_boxes(anchors[None], inside, objects.boxes, objects.counts, rule_of(self.assigner))
        sampling = sampling_of(self.sampler)
        indices, assigned = sample_boxes(assigned, **sampling)
        positive, used = assigned > 0, assigned >= 0
        count = count_chosen(positive) + count_chosen(used & ~positive)

        weight = class_weight(assigned, self.train_cfg['pos_weight'])
        scores = flatten_maps(cls_scores, 1).gather(1, indices[..., None])
        target = positive.long()[..., None]  # the one class is the object, of which mmdet makes this itself
        loss_cls = weighted_loss(self.loss_cls, scores.flatten(0, 1), target.flatten(0, 1), weight.flatten(), count)

        # those of objects stand first
        indices, assigned = (x[:, : sampling['max_positive']] for x in (indices, assigned))
        deltas = flatten_maps(bbox_preds, 4).gather(1, indices[..., None].expand(-1, -1, 4))
        predicted, target = regression(
            anchors[indices], deltas, objects.boxes, assigned, self.bbox_coder, self.reg_decoded_bbox
        )
        weight = (assigned > 0).float().flatten()
        loss_bbox = weighted_loss(self.loss_bbox, predicted.flatten(0, 1), target.flatten(0, 1), weight, count)
        return {'loss_rpn_cls': loss_cls, 'loss_rpn_bbox': loss_bbox}

    @torch.no_grad()
    def predict_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        score_factors: list[Tensor] | None = None,
        batch_img_metas: Sequence[dict] = (),
        cfg: ConfigDict | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> Sequence[InstanceData]:
        """Proposals of the images, best first: `BatchedProposals`, or as in mmdet; arguments as there.

        No gradient goes through them.
        """
        cfg = self.test_cfg if cfg is None else cfg
        reason = self.why_not_proposed(cfg)
        if rescale or not with_nms or reason is not None:
            if reason is not None:
                log_once(f'RPNHead: proposals as in mmdet: {reason}')
            return super().predict_by_feat(
                cls_scores, bbox_preds, score_factors, batch_img_metas, cfg, rescale, with_nms
            )
        counts = [scores[0].numel() for scores in cls_scores]
        scores, indices = _best(flatten_maps(cls_scores, 1)[..., 0].sigmoid().float(), counts, cfg.get('nms_pre', -1))
        deltas = flatten_maps(bbox_preds, 4).gather(1, indices.flatten(1)[..., None].expand(-1, -1, 4))
        anchors = self._anchors.boxes(sizes_of(cls_scores), scores.device)[indices]
        boxes = decode_in_images(self.bbox_coder, anchors, deltas.view_as(anchors), batch_img_metas)
        return _suppress(boxes, scores, cfg)

    def why_not_recorded(self, proposal_cfg: ConfigDict) -> str | None:
        """None when a training step asks the device nothing, whatever its batch, else why in words."""
        return self._why_not_trained(None) or self.why_not_proposed(proposal_cfg)

    def _why_not_trained(self, ignored: Ignored) -> str | None:
        reason = self._why_not_batched() or why_not_matched(self.assigner, self.sampler, ignored)
        if reason is None and type(self.loss_cls) is not CrossEntropyLoss:
            reason = f'loss_cls is {type(self.loss_cls).__name__}'
        reason = reason or why_not_elementwise('loss_cls', self.loss_cls, CLASS_LOSSES)
        return reason or why_not_elementwise('loss_bbox', self.loss_bbox)

    def why_not_proposed(self, cfg: ConfigDict) -> str | None:
        if set(cfg.nms) != {'type', 'iou_threshold'} or cfg.nms.type != 'nms':
            return f'nms={dict(cfg.nms)}'
        return self._why_not_batched()

    def _why_not_batched(self) -> str | None:
        """None when this head is an R-CNN's, else why in words."""
        if not self.use_sigmoid_cls:
            return 'classification without sigmoid'
        return why_not_coded(self.bbox_coder)


def _best(scores: Tensor, counts: Sequence[int], max_per_level: int) -> tuple[Tensor, Tensor]:
    """Of scores [B, N] of levels of `counts` anchors, one after the other, the best of each level and where they are.

    Both [B, levels, K], falling, K being `max_per_level` or, for -1, all there are. A level with fewer is filled with
    scores of -1: none is less than 0.
    """
    longest = min(max_per_level, max(counts)) if max_per_level > 0 else max(counts)
    best = [level.topk(min(longest, level.shape[1])) for level in scores.split(counts, 1)]
    scores = torch.stack([_filled(scores, longest, -1) for scores, _ in best], 1)
    indices = torch.stack([_filled(indices, longest, 0) for _, indices in best], 1)
    first = (0, *accumulate(counts[:-1]))
    return scores, indices + constant(first, indices.device, indices.dtype)[:, None]


def _filled(x: Tensor, length: int, value: float) -> Tensor:
    """[B, n] -> [B, length]."""
    return x if x.shape[1] == length else F.pad(x, (0, length - x.shape[1]), value=value)


def _suppress(boxes: Tensor, scores: Tensor, cfg: ConfigDict) -> BatchedProposals:
    """Of boxes [B, levels, K, 4] with falling scores those that NMS within a level keeps, best first."""
    valid = without_small(scores >= 0, boxes, cfg)
    keep = batched_nms(boxes.flatten(0, 1), valid.flatten(0, 1), cfg.nms.iou_threshold).view_as(valid)
    scores = scores.masked_fill(~keep, -1).flatten(1)
    scores, indices = scores.topk(min(cfg.max_per_img, scores.shape[1]))
    boxes = boxes.flatten(1, 2).gather(1, indices[..., None].expand(-1, -1, 4))
    valid = scores >= 0
    return BatchedProposals(boxes.masked_fill(~valid[..., None], 0), scores.clamp(min=0), valid)

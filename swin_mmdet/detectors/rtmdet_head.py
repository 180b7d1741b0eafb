"""mmdet's heads of RTMDet (arXiv 2212.07784) for a batch at once: no loop over images, no synchronisation."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import RTMDetHead as MMDetRTMDetHead
from mmdet.models.dense_heads import RTMDetSepBNHead as MMDetRTMDetSepBNHead
from mmdet.models.losses import CIoULoss, DIoULoss, GIoULoss, IoULoss, QualityFocalLoss
from mmdet.models.task_modules import (
    BaseAssigner,
    BboxOverlaps2D,
    DistancePointBBoxCoder,
    DynamicSoftLabelAssigner,
    MlvlPointGenerator,
    PseudoSampler,
)
from mmdet.utils import reduce_mean
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.anchors import AnchorCache
from swin_mmdet.detectors.dense_head import BatchedDenseHead, best_of_levels
from swin_mmdet.detectors.detections import to_instances
from swin_mmdet.detectors.image_sizes import image_sizes, in_original
from swin_mmdet.detectors.maps import flatten_maps, sizes_of
from swin_mmdet.detectors.matching import class_weight, weighted_loss, without_small
from swin_mmdet.models.precise_conv import PreciseConv2d
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.multiclass_nms import labelled_nms
from swin_mmdet.ops.quality_focal_loss import quality_focal_loss
from swin_mmdet.ops.soft_label_assignment import SoftLabelSettings, assign_soft_labels
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import gather_objects

# the best candidates of an image that NMS looks at first, and if that leaves too few detections
CANDIDATES = 2048, 8192
BOX_LOSSES = CIoULoss, DIoULoss, GIoULoss, IoULoss


class _Points(AnchorCache):
    """x, y of the points of all levels, and the stride twice: [N, 4] float32."""

    generator: MlvlPointGenerator

    def _make_boxes(self, sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
        return torch.cat(self.generator.grid_priors(sizes, device=device, with_stride=True))


class BatchedRTMDetHead(BatchedDenseHead):
    """Goes before mmdet's `RTMDetHead`, or a class of it, in the bases of a head.

    Losses and detections are mmdet's, each loss one number, not one a level. The host synchronises with a GPU once for
    the detections of a batch. Boxes are float32 also under autocast. What is set otherwise than in RTMDet (another
    assigner, sampler, coder, loss or NMS) runs as in mmdet; the log says so.
    """

    # of mmdet's head
    assigner: BaseAssigner
    num_base_priors: int
    rtm_reg: nn.Module

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._anchors = _Points(self.prior_generator)

    def _init_layers(self) -> None:
        super()._init_layers()
        if isinstance(self.rtm_reg, nn.ModuleList):
            self.rtm_reg = nn.ModuleList(map(_precise, self.rtm_reg))
        else:
            self.rtm_reg = _precise(self.rtm_reg)

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """`loss_cls` and `loss_bbox`, each []; arguments as in mmdet, which ignores what is to be ignored."""
        reason = self._why_not_trained() or self._why_not_assigned(batch_gt_instances)
        if reason is not None:
            log_once(f'{type(self).__name__}: training as in mmdet: {reason}')
            return super().loss_by_feat(
                cls_scores, bbox_preds, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore
            )
        points, inside = self._anchors_of(cls_scores, batch_img_metas)
        objects = gather_objects(batch_gt_instances)
        scores = flatten_maps(cls_scores, self.cls_out_channels)
        boxes = _decode(points, flatten_maps(bbox_preds, 4))
        settings = SoftLabelSettings(*(getattr(self.assigner, name) for name in SoftLabelSettings._fields))
        assigned, quality = assign_soft_labels(
            scores.detach(), boxes.detach(), points, inside, objects.boxes, objects.labels, objects.counts, settings
        )
        own = (assigned - 1).clamp(min=0)
        labels = torch.where(assigned > 0, objects.labels.gather(1, own), self.num_classes)
        weight = class_weight(torch.where(inside, assigned, -1), self.train_cfg['pos_weight'])
        target = torch.where(
            (assigned > 0)[..., None], objects.boxes.gather(1, own[..., None].expand(-1, -1, 4)), boxes.detach()
        )
        total = reduce_mean(quality.sum()).clamp(min=1)
        scores, labels, flat = (one.flatten(0, 1) for one in (scores, labels, quality))
        loss = quality_focal_loss(scores, labels, flat, self.loss_cls.beta, weight.flatten())
        # mmdet's losses divide by 1 and a little
        one = torch.ones_like(total)
        eps = torch.finfo(torch.float32).eps
        boxes, target = boxes.flatten(0, 1), target.flatten(0, 1)
        return {
            'loss_cls': self.loss_cls.loss_weight * loss / (1 + eps) / total,
            'loss_bbox': weighted_loss(self.loss_bbox, boxes, target, flat, one) / total,
        }

    def _why_not_trained(self) -> str | None:
        if type(self.sampler) is not PseudoSampler:
            return f'the sampler is {type(self.sampler).__name__}, not PseudoSampler'
        loss = self.loss_cls
        if type(loss) is not QualityFocalLoss:
            return f'loss_cls is {type(loss).__name__}'
        if loss.activated or loss.reduction != 'mean':
            return f'loss_cls has activated={loss.activated}, reduction={loss.reduction}'
        if type(self.loss_bbox) not in BOX_LOSSES:
            return f'loss_bbox is {type(self.loss_bbox).__name__}'
        if self.loss_bbox.reduction != 'mean':
            return f'loss_bbox has reduction={self.loss_bbox.reduction}'
        for name in ('loss_by_feat_single', 'get_targets', '_get_targets_single', 'get_anchors'):
            if not getattr(type(self), name).__module__.startswith('mmdet.'):
                return f'{type(self).__name__} has a {name} of its own'
        return self._why_not_points()

    def _why_not_points(self) -> str | None:
        if type(self.prior_generator) is not MlvlPointGenerator or self.num_base_priors != 1:
            return f'the points are of {type(self.prior_generator).__name__}'
        return None

    def _why_not_assigned(self, instances: Sequence[InstanceData]) -> str | None:
        assigner = self.assigner
        if type(assigner) is not DynamicSoftLabelAssigner:
            return f'the assigner is {type(assigner).__name__}, not DynamicSoftLabelAssigner'
        if type(assigner.iou_calculator) is not BboxOverlaps2D:
            return f'the assigner has the iou_calculator {type(assigner.iou_calculator).__name__}'
        if self.train_cfg['allowed_border'] >= 0:
            return f'allowed_border={self.train_cfg["allowed_border"]}'
        return 'objects have masks, whose centers count' if any('masks' in image for image in instances) else None

    def _detect_as_mmdet(self, cls_scores: list[Tensor], bbox_preds: list[Tensor], *args) -> list[InstanceData]:
        """Of scores and boxes in half mmcv's NMS cannot be sure."""
        scores, boxes = ([one.float() for one in maps] for maps in (cls_scores, bbox_preds))
        return super()._detect_as_mmdet(scores, boxes, *args)

    def _detect(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        score_factors: list[Tensor] | None,
        metas: Sequence[dict],
        cfg: ConfigDict,
        rescale: bool,
    ) -> list[InstanceData] | str:
        if score_factors is not None:
            return 'scores have factors'
        for max_candidates in CANDIDATES:
            detections = self._detect_among(cls_scores, bbox_preds, metas, cfg, rescale, max_candidates)
            if detections is not None:
                return detections
        return f'more than {max_candidates} candidates overlap'

    def _detect_among(
        self, cls_scores: list[Tensor], bbox_preds: list[Tensor], metas: Sequence[dict], cfg: ConfigDict, rescale: bool,
        max_candidates: int,
    ) -> list[InstanceData] | None:
        """The detections among the best `max_candidates` candidates of each image; None if there may be others.

        A candidate falls to better ones alone: those left of the best are left of all.
        """
        maps = [one.float() for one in cls_scores]
        scores, indices, labels = best_of_levels(maps, self.cls_out_channels, min(max_candidates, cfg.nms_pre))
        # of equal scores the first is first, which `topk` does not promise
        scores, order = (one[:, :max_candidates] for one in scores.sort(dim=1, descending=True, stable=True))
        indices, labels = indices.gather(1, order), labels.gather(1, order)
        valid = scores > cfg.get('score_thr', 0)
        every = scores.shape[1] == sum(min(one[0].numel(), cfg.nms_pre) for one in cls_scores)
        exhausted = torch.ones_like(valid[:, -1]) if every else ~valid[:, -1]
        points = self._anchors.boxes(sizes_of(cls_scores), scores.device)[indices]
        boxes = _decode(points, flatten_maps(bbox_preds, 4).gather(1, indices[..., None].expand(-1, -1, 4)))
        if self.bbox_coder.clip_border:
            boxes = torch.minimum(boxes.clamp(min=0), image_sizes(metas, boxes)[:, None])
        if rescale:
            boxes = in_original(boxes, metas)
        valid = without_small(valid, boxes, cfg)
        detections = labelled_nms(boxes, scores, labels, valid, cfg.nms.iou_threshold, cfg.max_per_img)
        complete = exhausted | (detections.counts >= cfg.max_per_img)
        counts, complete = torch.stack([detections.counts, complete.long()]).tolist()
        return to_instances(detections, counts) if all(complete) else None

    def _why_not_predicted(self, cfg: ConfigDict) -> str | None:
        if type(self.bbox_coder) is not DistancePointBBoxCoder:
            return f'the box coder is {type(self.bbox_coder).__name__}'
        return self._why_not_points() or self._why_not_detected(cfg)


@MODELS.register_module()
class RTMDetHead(BatchedRTMDetHead, MMDetRTMDetHead):
    """mmdet's `RTMDetHead`: same parameters, arguments, losses and detections."""


@MODELS.register_module()
class RTMDetSepBNHead(BatchedRTMDetHead, MMDetRTMDetSepBNHead):
    """mmdet's `RTMDetSepBNHead`: same parameters, arguments, losses and detections."""


def _decode(points: Tensor, distances: Tensor) -> Tensor:
    """Distances to the left, top, right and bottom [..., 4] of points [..., 4] -> boxes [..., 4] float32."""
    distances = distances.to(torch.promote_types(distances.dtype, torch.float32))
    location = points[..., :2]
    return torch.cat([location - distances[..., :2], location + distances[..., 2:]], -1)


def _precise(conv: nn.Conv2d) -> PreciseConv2d:
    """The same layer."""
    made = PreciseConv2d(conv.in_channels, conv.out_channels, conv.kernel_size, padding=conv.padding)
    made.load_state_dict(conv.state_dict())
    return made

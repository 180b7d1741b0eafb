"""The dense head of RepPoints V2: regression by points, verified by maps of corners and of foreground."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.models.task_modules.prior_generators import MlvlPointGenerator
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from swin_mmdet.detectors.maps import flatten_maps, sizes_of
from swin_mmdet.detectors.matching import count_chosen
from swin_mmdet.ops.adaptive_assignment import assign_adaptively
from swin_mmdet.registry import MODELS
from swin_mmdet.reppoints_v2.detection import Predictions, Sizes, detect
from swin_mmdet.reppoints_v2.layers import Maps, RepPointsV2Layers
from swin_mmdet.reppoints_v2.targets import Targets, targets_of_image
from swin_mmdet.reppoints_v2.verification import foreground_targets

Metas = Sequence[dict]


class Matches(NamedTuple):
    """The n points of a batch that have an object."""

    boxes: Tensor  # [n, 4]
    wanted: Tensor  # [n, 4] the object's
    labels: Tensor  # [n]


@MODELS.register_module()
class RepPointsV2Head(RepPointsV2Layers):
    """RepPoints with verification (arXiv 2007.08508), as released for Swin: corner points, quality focal loss.

    The first two points of a location are the corners of its box, all of them say where the deformable convolutions
    look. Names of parameters are those of the official checkpoints.

    Args:
        gradient_mul: factor of the gradient that goes from the refinement back to the initial points
        point_base_scale: a level of stride s starts with boxes of this times s
        train_cfg: `topk` candidates of each level in ATSS, and `gaussian_iou`, the overlap that defines how far from a
            corner its map is warm
        test_cfg: `nms_pre`, `score_thr`, `nms` and `max_per_img`, as of mmdet's dense heads
    """

    def __init__(
        self, *args, loss_cls: dict, loss_bbox_init: dict, loss_bbox_refine: dict, loss_heatmap: dict,
        loss_offset: dict, loss_sem: dict, point_strides: Sequence[int] = (8, 16, 32, 64, 128),
        point_base_scale: int = 4, train_cfg: dict | None = None, test_cfg: dict | None = None, **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.point_strides, self.point_base_scale = tuple(point_strides), point_base_scale
        # the official code has a location at the upper left corner of its cell
        self.prior_generator = MlvlPointGenerator(self.point_strides, offset=0)
        self.train_cfg, self.test_cfg = train_cfg or {}, test_cfg or {}
        self.loss_cls = MMDET_MODELS.build(loss_cls)
        self.loss_bbox_init = MMDET_MODELS.build(loss_bbox_init)
        self.loss_bbox_refine = MMDET_MODELS.build(loss_bbox_refine)
        self.loss_heatmap = MMDET_MODELS.build(loss_heatmap)
        self.loss_offset = MMDET_MODELS.build(loss_offset)
        self.loss_sem = MMDET_MODELS.build(loss_sem)

    def loss(self, x: Maps, batch_data_samples: Sequence) -> dict[str, Tensor]:
        """Of maps `x` and data samples with `gt_instances`: `loss_cls`, `_pts_init`, `_pts_refine`, `_heatmap`,
        `_offset` and `_sem`.
        """
        instances = [sample.gt_instances for sample in batch_data_samples]
        metas = [sample.metainfo for sample in batch_data_samples]
        cls_scores, init_points, points, heat, offsets, foreground = self(x)
        return self.loss_by_feat(
            cls_scores, init_points, points, heat, offsets, foreground, instances, metas
        )

    def loss_by_feat(
        self, cls_scores: Maps, init_points: Maps, points: Maps, heat: Maps, offsets: Maps, foreground: Maps,
        batch_gt_instances: Sequence[InstanceData], batch_img_metas: Metas,
    ) -> dict[str, Tensor]:
        """The same, of the results of `forward`."""
        predictions = self.gather_predictions(cls_scores, init_points, points, heat, offsets)
        targets = self.get_targets(predictions, sizes_of(cls_scores), batch_gt_instances, batch_img_metas)
        losses = self.point_losses(predictions, targets, sizes_of(cls_scores), batch_gt_instances)
        return losses | dict(loss_sem=self.foreground_loss(foreground, batch_gt_instances))

    def gather_predictions(
        self, cls_scores: Maps, init_points: Maps, points: Maps, heat: Maps, offsets: Maps
    ) -> Predictions:
        """Maps of levels -> one axis of P points."""
        locations, strides = self.locations(sizes_of(cls_scores), cls_scores[0].device)

        def boxes(levels: Maps) -> Tensor:
            corners = flatten_maps(levels, levels[0].shape[1])[..., :4].unflatten(-1, (2, 2)).flip(-1)
            return (corners * strides[:, None, None] + locations[:, None]).flatten(-2)

        return Predictions(
            flatten_maps(cls_scores, self.num_classes), boxes(init_points), boxes(points), flatten_maps(heat, 2),
            flatten_maps(offsets, 4).unflatten(-1, (2, 2)),
        )

    def locations(self, sizes: Sizes, device: torch.device) -> tuple[Tensor, Tensor]:
        """Where points of maps of these sizes lie: x, y [P, 2] in the image, and their strides [P]."""
        priors = torch.cat(self.prior_generator.grid_priors(sizes, device=device, with_stride=True))
        return priors[:, :2], priors[:, 2]

    @torch.no_grad()
    def get_targets(
        self, predictions: Predictions, sizes: Sizes, instances: Sequence[InstanceData], metas: Metas
    ) -> Targets:
        """For points of maps of `sizes`, whose initial boxes say which of them are refined."""
        locations, strides = self.locations(sizes, predictions.boxes.device)
        every_boxes = [image.bboxes.float() for image in instances]
        every_centers = [self.object_centers(image) for image in instances]
        fixed = [
            targets_of_image(
                locations, strides, self.prior_generator.valid_flags(sizes, meta['pad_shape'], locations.device), boxes,
                centers, self.point_base_scale, self.train_cfg['gaussian_iou'],
            )
            for boxes, centers, meta in zip(every_boxes, every_centers, metas, strict=True)
        ]
        init_owner, heat, offsets, valid = (torch.stack(one) for one in zip(*fixed, strict=True))
        assigned = assign_adaptively(
            predictions.init_boxes,
            valid,
            [height * width for height, width in sizes],
            pad_sequence(every_boxes, batch_first=True),
            [len(boxes) for boxes in every_boxes],
            self.train_cfg['topk'],
            around=pad_sequence(every_centers, batch_first=True),
        )
        return Targets(init_owner, assigned.clamp(min=0) - 1, heat, offsets, valid)

    def object_centers(self, instances: InstanceData) -> Tensor:
        """Around which points an object is looked for: [G, 2] x, y."""
        corners = instances.bboxes.float().unflatten(1, (2, 2))
        return corners.mean(1)

    def point_losses(
        self, predictions: Predictions, targets: Targets, sizes: Sizes, instances: Sequence[InstanceData]
    ) -> dict[str, Tensor]:
        """Losses of classes, boxes and corners."""
        _, strides = self.locations(sizes, predictions.boxes.device)
        normalizer = (self.point_base_scale * strides)[:, None]
        init = _match(predictions.init_boxes / normalizer, targets.init_owner, normalizer, instances)
        refined = _match(predictions.boxes / normalizer, targets.owner, normalizer, instances)
        num_init, num_pos = count_chosen(targets.init_owner >= 0), count_chosen(targets.owner >= 0)

        labels = torch.full_like(targets.owner, self.num_classes)
        quality = torch.zeros_like(predictions.boxes[..., 0])
        labels[targets.owner >= 0] = refined.labels
        quality[targets.owner >= 0] = bbox_overlaps(refined.boxes.detach(), refined.wanted, is_aligned=True)
        weight = targets.valid.float()
        loss_cls = self.loss_cls(
            predictions.classes.flatten(0, 1), (labels.flatten(), quality.flatten()), weight.flatten(),
            avg_factor=num_pos,
        )

        prob, loss_heatmap, loss_offset = predictions.heat.sigmoid(), 0, 0
        for corner in range(2):
            heat = targets.heat[..., corner]
            offsets, wanted = (one[..., corner, :][heat == 1] for one in (predictions.offsets, targets.offsets))
            count = count_chosen(heat == 1)
            loss_heatmap += self.loss_heatmap(prob[..., corner], heat, weight=weight, avg_factor=count) / 2
            loss_offset += self.loss_offset(offsets, wanted, avg_factor=count) / 2
        return dict(
            loss_cls=loss_cls,
            # with weights, mmdet's losses of no boxes are 0 and still have gradients
            loss_pts_init=self.loss_bbox_init(*init[:2], torch.ones_like(init.boxes), avg_factor=num_init),
            loss_pts_refine=self.loss_bbox_refine(*refined[:2], torch.ones_like(refined.boxes), avg_factor=num_pos),
            loss_heatmap=loss_heatmap,
            loss_offset=loss_offset,
        )

    def foreground_loss(self, foreground: Maps, instances: Sequence[InstanceData]) -> Tensor:
        """`loss_sem`: targets are drawn on the first level, the others take every so many pixels of it."""
        size, stride = foreground[0].shape[2:], self.point_strides[0]
        drawn = [
            foreground_targets(image.bboxes.float(), image.labels, self.num_classes, size, stride)
            for image in instances
        ]
        target, weight = (torch.stack(one) for one in zip(*drawn, strict=True))
        every_target, every_weight = (
            torch.cat([F.interpolate(one, level.shape[2:]).flatten() for level in foreground])
            for one in (target, weight)
        )
        logits = torch.cat([level.flatten() for level in foreground])
        return self.loss_sem(logits, every_target, every_weight, avg_factor=every_target.sum().clamp(min=1))

    def predict_by_feat(
        self, cls_scores: Maps, init_points: Maps, points: Maps, heat: Maps, offsets: Maps, foreground: Maps,
        batch_img_metas: Metas, rescale: bool = False,
    ) -> list[InstanceData]:
        """The results of `forward` -> bboxes [n, 4], scores [n] and labels [n] of each image, best first.

        With `rescale` boxes are in the original image.
        """
        del foreground
        detections = self.detect(cls_scores, init_points, points, heat, offsets, batch_img_metas, rescale)
        for image in detections:
            del image.points
        return detections

    def detect(
        self, cls_scores: Maps, init_points: Maps, points: Maps, heat: Maps, offsets: Maps, batch_img_metas: Metas,
        rescale: bool,
    ) -> list[InstanceData]:
        """The same, with `points` [n]: which of the P points a detection is of."""
        predictions = self.gather_predictions(cls_scores, init_points, points, heat, offsets)
        sizes = sizes_of(cls_scores)
        return [
            detect(predictions.of_image(image), sizes, self.point_strides, meta, self.test_cfg, rescale)
            for image, meta in enumerate(batch_img_metas)
        ]


def _match(boxes: Tensor, owner: Tensor, normalizer: Tensor, instances: Sequence[InstanceData]) -> Matches:
    """Boxes [B, P, 4] and objects' boxes in units of normalizer [P, 1], where owner [B, P] is an object."""
    owners = [one[one >= 0] for one in owner]
    wanted = torch.cat([image.bboxes[mine].float() for image, mine in zip(instances, owners, strict=True)])
    labels = torch.cat([image.labels[mine] for image, mine in zip(instances, owners, strict=True)])
    return Matches(boxes[owner >= 0], wanted / normalizer.expand(*owner.shape, 1)[owner >= 0], labels)

"""The dense head of RepPoints V2: regression by points, verified by maps of corners and of foreground."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmcv.ops import DeformConv2d
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.layers import multiclass_nms
from mmdet.models.task_modules.prior_generators import MlvlPointGenerator
from mmdet.models.utils import multi_apply
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.model import bias_init_with_prob, normal_init
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from swin_mmdet.models.derived_buffers import DerivedBuffers
from swin_mmdet.ops.adaptive_assignment import assign_adaptively
from swin_mmdet.registry import MODELS
from swin_mmdet.reppoints_v2.assignment import assign_centers
from swin_mmdet.reppoints_v2.corner_pool import CornerPool
from swin_mmdet.reppoints_v2.verification import corner_targets, foreground_targets, refine_corners

Maps = Sequence[Tensor]
Metas = Sequence[dict]


class Predictions(NamedTuple):
    """What the head says of all P points of B images, level after level, in float32."""

    classes: Tensor  # [B, P, K] logits
    init_boxes: Tensor  # [B, P, 4] in the image
    boxes: Tensor  # [B, P, 4] in the image
    heat: Tensor  # [B, P, 2] logits of the upper left and the lower right corner
    offsets: Tensor  # [B, P, 2, 2] x, y of both corners in strides


class Targets(NamedTuple):
    """What they are trained for."""

    init_owner: Tensor  # [B, P] index of the object among the image's, -1 for none
    owner: Tensor  # [B, P] the same, for the refined box and the class
    heat: Tensor  # [B, P, 2]
    offsets: Tensor  # [B, P, 2, 2]
    valid: Tensor  # [B, P] whether the image has the point


class Matches(NamedTuple):
    """The n points of a batch that have an object."""

    boxes: Tensor  # [n, 4]
    wanted: Tensor  # [n, 4] the object's
    labels: Tensor  # [n]


@MODELS.register_module()
class RepPointsV2Head(DerivedBuffers, BaseDenseHead):
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
        self, num_classes: int, in_channels: int, *, norm_cfg: dict, loss_cls: dict, loss_bbox_init: dict,
        loss_bbox_refine: dict, loss_heatmap: dict, loss_offset: dict, loss_sem: dict, feat_channels: int = 256,
        stacked_convs: int = 3, shared_stacked_convs: int = 1, point_feat_channels: int = 256, corner_dim: int = 64,
        num_points: int = 9, gradient_mul: float = 0.1, point_strides: Sequence[int] = (8, 16, 32, 64, 128),
        point_base_scale: int = 4, train_cfg: dict | None = None, test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        """Raises ValueError for `num_points` that are not the square of an odd number."""
        super().__init__(init_cfg)
        kernel_size = round(num_points**0.5)
        if kernel_size**2 != num_points or not kernel_size % 2:
            raise ValueError(f'num_points={num_points} is not the square of an odd number')
        self.num_classes = num_classes
        self.gradient_mul, self.point_base_scale = gradient_mul, point_base_scale
        self.point_strides = tuple(point_strides)
        # the official code has a location at the upper left corner of its cell
        self.prior_generator = MlvlPointGenerator(self.point_strides, offset=0)
        self.train_cfg, self.test_cfg = train_cfg, test_cfg
        self.loss_cls = MMDET_MODELS.build(loss_cls)
        self.loss_bbox_init = MMDET_MODELS.build(loss_bbox_init)
        self.loss_bbox_refine = MMDET_MODELS.build(loss_bbox_refine)
        self.loss_heatmap = MMDET_MODELS.build(loss_heatmap)
        self.loss_offset = MMDET_MODELS.build(loss_offset)
        self.loss_sem = MMDET_MODELS.build(loss_sem)

        def conv(channels: int, size: int = 3) -> ConvModule:
            return ConvModule(channels, feat_channels, size, padding=size // 2, norm_cfg=norm_cfg)

        def tower(depth: int) -> nn.ModuleList:
            return nn.ModuleList(conv(in_channels if index == 0 else feat_channels) for index in range(depth))

        self.cls_convs, self.reg_convs = tower(stacked_convs), tower(stacked_convs)
        self.shared_convs = nn.ModuleList(conv(feat_channels) for _ in range(shared_stacked_convs))
        self.reppoints_sem_out = nn.Conv2d(feat_channels, num_classes, 1)
        self.reppoints_sem_embedding = conv(feat_channels, 1)
        self.hem_tl = CornerPool(feat_channels, corner_dim, norm_cfg, backward=False)
        self.hem_br = CornerPool(feat_channels, corner_dim, norm_cfg, backward=True)
        self.reppoints_hem_tl_score_out = nn.Conv2d(feat_channels, 1, 3, padding=1)
        self.reppoints_hem_br_score_out = nn.Conv2d(feat_channels, 1, 3, padding=1)
        self.reppoints_hem_tl_offset_out = nn.Conv2d(feat_channels, 2, 3, padding=1)
        self.reppoints_hem_br_offset_out = nn.Conv2d(feat_channels, 2, 3, padding=1)
        self.reppoints_pts_init_conv = nn.Conv2d(feat_channels, point_feat_channels, 3, padding=1)
        self.reppoints_pts_init_out = nn.Conv2d(point_feat_channels, 2 * num_points, 1)
        # scores and offsets of both corners go with the features
        sampled = feat_channels + 6, point_feat_channels, kernel_size
        self.reppoints_pts_refine_conv = DeformConv2d(*sampled, padding=kernel_size // 2)
        self.reppoints_pts_refine_out = nn.Conv2d(point_feat_channels, 2 * num_points, 1)
        self.reppoints_cls_conv = DeformConv2d(*sampled, padding=kernel_size // 2)
        self.reppoints_cls_out = nn.Conv2d(point_feat_channels, num_classes, 1)
        self._kernel_size = kernel_size
        self.register_derived_buffers()

    def derived_buffers(self) -> dict[str, Tensor]:
        """Where a convolution looks, in steps from its center."""
        return {'kernel_offsets': _kernel_offsets(self._kernel_size)}

    def init_weights(self) -> None:
        """Small normal weights but in corner pools and the embedding; a score starts at 0.01."""
        super().init_weights()
        rare = bias_init_with_prob(0.01)
        for tower in (self.cls_convs, self.reg_convs, self.shared_convs):
            for layer in tower:
                normal_init(layer.conv, std=0.01)
        for name, module in self.named_children():
            if name.startswith('reppoints_') and not isinstance(module, ConvModule):
                is_score = name.endswith(('cls_out', 'score_out', 'sem_out'))
                normal_init(module, std=0.01, bias=rare if is_score else 0)

    def forward(self, x: Maps) -> tuple[list[Tensor], ...]:
        """Maps [B, C, H_i, W_i] of each level -> six lists of maps of these levels, in float32.

        Class logits [B, K, H, W]; initial and refined points [B, 2 n, H, W], y and x of each in strides from its
        location; heat logits [B, 2, H, W]; offsets [B, 4, H, W], x and y of both corners; foreground logits
        [B, K, H, W].
        """
        return multi_apply(self.forward_single, x)[:-1]

    def forward_single(self, x: Tensor) -> tuple[Tensor, ...]:
        """The same of one level, and the features [B, C, H, W] of its classes."""
        cls_feat = pts_feat = x
        for conv in self.cls_convs:
            cls_feat = conv(cls_feat)
        for conv in self.reg_convs:
            pts_feat = conv(pts_feat)
        shared = pts_feat
        for conv in self.shared_convs:
            shared = conv(shared)

        foreground = self.reppoints_sem_out(shared)
        embedding = self.reppoints_sem_embedding(shared)
        upper_left, lower_right = self.hem_tl(shared + embedding), self.hem_br(shared + embedding)
        heat = torch.cat(
            [self.reppoints_hem_tl_score_out(upper_left), self.reppoints_hem_br_score_out(lower_right)], dim=1
        )
        offsets = torch.cat(
            [self.reppoints_hem_tl_offset_out(upper_left), self.reppoints_hem_br_offset_out(lower_right)], dim=1
        )

        pts_feat, cls_feat = pts_feat + embedding, cls_feat + embedding
        init = _in_float32(self.reppoints_pts_init_out, self.reppoints_pts_init_conv(pts_feat).relu())
        look_at = init.detach() + self.gradient_mul * (init - init.detach()) - self.kernel_offsets
        cls_feat = torch.cat([cls_feat, heat, offsets], dim=1)
        pts_feat = torch.cat([pts_feat, heat, offsets], dim=1)
        cls_feat = self.reppoints_cls_conv(cls_feat, look_at).relu()
        moves = _in_float32(
            self.reppoints_pts_refine_out, self.reppoints_pts_refine_conv(pts_feat, look_at).relu()
        )
        maps = (self.reppoints_cls_out(cls_feat), init, moves + init.detach(), heat, offsets, foreground)
        return *(one.float() for one in maps), cls_feat

    def loss(self, x: Maps, batch_data_samples: Sequence) -> dict[str, Tensor]:
        """Of maps `x` and data samples with `gt_instances`: `loss_cls`, `_pts_init`, `_pts_refine`, `_heatmap`,
        `_offset` and `_sem`.
        """
        instances = [sample.gt_instances for sample in batch_data_samples]
        metas = [sample.metainfo for sample in batch_data_samples]
        return self.loss_by_feat(*self(x), instances, metas)

    def loss_by_feat(
        self, cls_scores: Maps, init_points: Maps, points: Maps, heat: Maps, offsets: Maps, foreground: Maps,
        batch_gt_instances: Sequence[InstanceData], batch_img_metas: Metas,
    ) -> dict[str, Tensor]:
        """The same, of the results of `forward`."""
        predictions = self.gather_predictions(cls_scores, init_points, points, heat, offsets)
        targets = self.get_targets(predictions, _sizes(cls_scores), batch_gt_instances, batch_img_metas)
        losses = self.point_losses(predictions, targets, _sizes(cls_scores), batch_gt_instances)
        return losses | dict(loss_sem=self.foreground_loss(foreground, batch_gt_instances))

    def gather_predictions(
        self, cls_scores: Maps, init_points: Maps, points: Maps, heat: Maps, offsets: Maps
    ) -> Predictions:
        """Maps of levels -> one axis of P points."""
        places, strides = self.places(_sizes(cls_scores), cls_scores[0].device)

        def boxes(levels: Maps) -> Tensor:
            corners = _flatten(levels)[..., :4].unflatten(-1, (2, 2)).flip(-1)
            return (corners * strides[:, None, None] + places[:, None]).flatten(-2)

        return Predictions(
            _flatten(cls_scores), boxes(init_points), boxes(points), _flatten(heat),
            _flatten(offsets).unflatten(-1, (2, 2)),
        )

    def places(self, sizes: Sequence[torch.Size], device: torch.device) -> tuple[Tensor, Tensor]:
        """Where points of maps of these sizes lie: x, y [P, 2] in the image, and their strides [P]."""
        priors = torch.cat(self.prior_generator.grid_priors(sizes, device=device, with_stride=True))
        return priors[:, :2], priors[:, 2]

    @torch.no_grad()
    def get_targets(
        self, predictions: Predictions, sizes: Sequence[torch.Size], instances: Sequence[InstanceData], metas: Metas
    ) -> Targets:
        """For points of maps of `sizes`, whose initial boxes say which of them are refined."""
        places, strides = self.places(sizes, predictions.boxes.device)
        every_boxes = [image.bboxes.float() for image in instances]
        every_centers = [self.object_centers(image) for image in instances]
        targets = []
        for boxes, centers, meta in zip(every_boxes, every_centers, metas, strict=True):
            flags = self.prior_generator.valid_flags(sizes, meta['pad_shape'], places.device)
            valid, level_sizes = torch.cat(flags), [int(level.sum()) for level in flags]
            known = places[valid], strides[valid]
            found = (
                assign_centers(*known, boxes, centers, self.point_base_scale),
                *corner_targets(*known, level_sizes, boxes, self.train_cfg['gaussian_iou']),
            )
            nothing = -1, 0, 0
            targets.append([_spread(one, valid, value) for one, value in zip(found, nothing, strict=True)] + [valid])
        init_owner, heat, offsets, valid = (torch.stack(one) for one in zip(*targets, strict=True))
        assigned = assign_adaptively(
            predictions.init_boxes,
            valid,
            [size.numel() for size in sizes],
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
        self, predictions: Predictions, targets: Targets, sizes: Sequence[torch.Size], instances: Sequence[InstanceData]
    ) -> dict[str, Tensor]:
        """Losses of classes, boxes and corners."""
        _, strides = self.places(sizes, predictions.boxes.device)
        normalizer = (self.point_base_scale * strides)[:, None]
        init = _match(predictions.init_boxes / normalizer, targets.init_owner, normalizer, instances)
        refined = _match(predictions.boxes / normalizer, targets.owner, normalizer, instances)
        num_init, num_pos = _count(targets.init_owner >= 0), _count(targets.owner >= 0)

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
            count = _count(heat == 1)
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
        found = self.detect(cls_scores, init_points, points, heat, offsets, batch_img_metas, rescale)
        for image in found:
            del image.points
        return found

    def detect(
        self, cls_scores: Maps, init_points: Maps, points: Maps, heat: Maps, offsets: Maps, batch_img_metas: Metas,
        rescale: bool,
    ) -> list[InstanceData]:
        """The same, with `points` [n]: which of the P points a detection is of."""
        predictions = self.gather_predictions(cls_scores, init_points, points, heat, offsets)
        sizes = _sizes(cls_scores)
        return [
            self._detect_single(Predictions(*(one[image] for one in predictions)), sizes, meta, rescale)
            for image, meta in enumerate(batch_img_metas)
        ]

    def _detect_single(
        self, predictions: Predictions, sizes: Sequence[torch.Size], meta: dict, rescale: bool
    ) -> InstanceData:
        """Of one image's predictions, all without their first axis."""
        cfg = self.test_cfg
        height, width = meta['img_shape'][:2]
        bounds = predictions.boxes.new_tensor([width, height] * 2)
        scores = predictions.classes.sigmoid()
        chosen, boxes, start = [], [], 0
        for level, best in enumerate(scores.amax(1).split([size.numel() for size in sizes])):
            index = best.topk(min(cfg['nms_pre'], len(best))).indices + start
            found = predictions.boxes[index].clamp(min=0).minimum(bounds)
            if level:
                # the first level has the corners of the next two, the second those of the rest
                found = self._verify(found, predictions, sizes, 0 if level <= 2 else 1).clamp(min=0).minimum(bounds)
            chosen.append(index)
            boxes.append(found)
            start += len(best)
        chosen, boxes = torch.cat(chosen), torch.cat(boxes)
        if rescale:
            boxes = boxes / boxes.new_tensor(meta['scale_factor']).repeat(2)
        background = F.pad(scores[chosen], (0, 1))
        found, labels, place = multiclass_nms(
            boxes, background, cfg['score_thr'], cfg['nms'], cfg['max_per_img'], return_inds=True
        )
        points = chosen[place // self.num_classes]
        return InstanceData(bboxes=found[:, :4], scores=found[:, 4], labels=labels, points=points)

    def _verify(self, boxes: Tensor, predictions: Predictions, sizes: Sequence[torch.Size], level: int) -> Tensor:
        """Boxes [n, 4] whose corners are those that the maps of `level` have nearby."""
        counts, size = [size.numel() for size in sizes], sizes[level]
        heat = predictions.heat.split(counts)[level].unflatten(0, size)
        offsets = predictions.offsets.split(counts)[level].unflatten(0, size)
        return torch.cat(
            [
                refine_corners(one, heat[..., corner], offsets[..., corner, :], self.point_strides[level])
                for corner, one in enumerate(boxes.split(2, dim=1))
            ],
            dim=1,
        )


def _kernel_offsets(kernel_size: int) -> Tensor:
    """Where a convolution looks, y and x of each tap: [1, 2 kernel_size**2, 1, 1]."""
    side = torch.arange(kernel_size) - kernel_size // 2
    return torch.cartesian_prod(side, side).float().view(1, -1, 1, 1)


def _in_float32(layer: nn.Module, x: Tensor) -> Tensor:
    """Also under autocast: in bfloat16 a corner that is 200 pixels away would be off by half a pixel."""
    device = x.device.type
    # the meta device has none
    known = torch.amp.is_autocast_available(device)
    with torch.autocast(device, enabled=False) if known else nullcontext():
        return layer(x.float())


def _sizes(levels: Maps) -> list[torch.Size]:
    return [level.shape[2:] for level in levels]


def _flatten(levels: Maps) -> Tensor:
    """Maps [B, C, H_i, W_i] -> [B, P, C]."""
    return torch.cat([level.flatten(2) for level in levels], dim=2).mT


def _match(boxes: Tensor, owner: Tensor, normalizer: Tensor, instances: Sequence[InstanceData]) -> Matches:
    """Boxes [B, P, 4] and objects' boxes in units of normalizer [P, 1], where owner [B, P] is an object."""
    owners = [one[one >= 0] for one in owner]
    wanted = torch.cat([image.bboxes[mine].float() for image, mine in zip(instances, owners, strict=True)])
    labels = torch.cat([image.labels[mine] for image, mine in zip(instances, owners, strict=True)])
    return Matches(boxes[owner >= 0], wanted / normalizer.expand(*owner.shape, 1)[owner >= 0], labels)


def _spread(of_valid: Tensor, valid: Tensor, value: int) -> Tensor:
    """What is known of the valid points [P], with `value` for the others: [v, ...] -> [P, ...]."""
    every = of_valid.new_full((len(valid), *of_valid.shape[1:]), value)
    every[valid] = of_valid
    return every


def _count(positive: Tensor) -> Tensor:
    """How many of [B, P] are positive, at least one an image."""
    return positive.sum(1).clamp(min=1).sum()

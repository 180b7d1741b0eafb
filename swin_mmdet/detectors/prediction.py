"""Test time of two-stage detectors for all images of a batch at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.detections import to_instances
from swin_mmdet.detectors.image_sizes import image_sizes, in_original
from swin_mmdet.detectors.mask_logits import mask_logits
from swin_mmdet.detectors.matching import coding_of
from swin_mmdet.detectors.region_losses import own_deltas
from swin_mmdet.ops.box_deltas import decode_boxes
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.multiclass_nms import (
    Candidates,
    Detections,
    find_candidates,
    multiclass_nms,
    soft_multiclass_nms,
)
from swin_mmdet.ops.paste_masks import paste_masks
from swin_mmdet.ops.soft_nms import METHODS, SoftNms
from swin_mmdet.ops.tracing import is_traced
from swin_mmdet.structures import BatchedProposals, EncodedMasks, boxes_of, rois_of

if TYPE_CHECKING:
    from mmdet.models.roi_heads import StandardRoIHead as Base
else:
    Base = object

# of mmcv's NMS, besides `type` and what changes nothing here: options that there must be, and those there may be
NMS_OPTIONS = {'nms': ({'iou_threshold'}, set()), 'soft_nms': (set(), set(SoftNms._fields))}
NO_OPTIONS = {'type', 'split_thr'}
Metas = Sequence[dict]
Size = tuple[int, int]


class BatchedPrediction(Base):
    """Goes before mmdet's `StandardRoIHead` in the bases of a class: the same detections and masks, found in one go.

    The host synchronises with a GPU twice for the boxes of a batch, to learn how many candidates there are and how many
    detections, and for its masks to fetch boxes and run lengths; after no candidates there is nothing left to do.
    Masks are `EncodedMasks`: bool tensors to whoever looks at them, run lengths to who writes results. What
    `why_not_boxes` and `why_not_masks` name is left to mmdet, and logged. Soft-NMS takes equal scores in another order.
    """

    # of mmdet's head, whose cascades have a list of each
    bbox_head: nn.Module
    mask_head: nn.Module
    test_cfg: ConfigDict

    def predict_bbox(
        self, x: tuple[Tensor, ...], batch_img_metas: Metas, rpn_results_list: list[InstanceData],
        rcnn_test_cfg: ConfigDict, rescale: bool = False, **kwargs,
    ) -> list[InstanceData]:
        """Bboxes [n, 4], scores [n] and labels [n] of each image from its proposals [p, 4], best first.

        With `rescale` in pixels of the original image.
        """
        reason = why_not_boxes(self._bbox_heads(), rpn_results_list, rcnn_test_cfg)
        if reason is not None:
            log_once(f'boxes are predicted image by image: {reason}')
            return super().predict_bbox(x, batch_img_metas, rpn_results_list, rcnn_test_cfg, rescale, **kwargs)
        boxes, valid = boxes_of(rpn_results_list)
        if not boxes.shape[1]:
            return _nothing(boxes)
        bounds = image_sizes(batch_img_metas, boxes)[:, None]
        boxes, scores, deltas = self.classify(x, boxes, bounds, **kwargs)
        candidates = find_candidates(scores.unflatten(0, valid.shape)[..., :-1], valid, rcnn_test_cfg.score_thr)
        if candidates is None:
            return _nothing(boxes)
        detections = self.detect(boxes, deltas, candidates, bounds, rcnn_test_cfg, batch_img_metas if rescale else None)
        return to_instances(detections, detections.counts.tolist())

    def detect(
        self, boxes: Tensor, deltas: Tensor, candidates: Candidates, bounds: Tensor, test_cfg: ConfigDict,
        metas: Metas | None,
    ) -> Detections:
        """Of what `classify` returns; `metas` to find the boxes in the images before they were resized."""
        deltas = of_candidates(deltas.view(*boxes.shape[:2], -1, 4), candidates)
        boxes = of_candidates(boxes[:, :, None], candidates)
        boxes = _regress(self._bbox_heads()[-1], boxes, deltas, bounds[:, None])
        if metas is not None:
            boxes = in_original(boxes, metas)
        return suppress(boxes, candidates, test_cfg)

    def predict_mask(
        self, x: tuple[Tensor, ...], batch_img_metas: Metas, results_list: list[InstanceData], rescale: bool = False,
        **kwargs,
    ) -> list[InstanceData]:
        """`results_list` with masks [n, H, W] of the original image with `rescale`, else of the one the model saw.

        `rescale` is done to the boxes too.
        """
        # run lengths are found on the host, where no trace sees them
        reason = 'the model is being traced' if is_traced() else None
        reason = reason or why_not_masks(self._mask_heads(), results_list, batch_img_metas, self.test_cfg)
        if reason is not None:
            log_once(f'masks are predicted image by image: {reason}')
            return super().predict_mask(
                x=x, batch_img_metas=batch_img_metas, results_list=results_list, rescale=rescale, **kwargs
            )
        for results, meta in zip(results_list, batch_img_metas):
            if not len(results):
                height, width = meta['ori_shape'][:2]
                results.masks = EncodedMasks([], height, width, results.bboxes.device)
        detected = [(image, results) for image, results in enumerate(results_list) if len(results)]
        if not detected:
            return results_list
        counts = [len(results) for _, results in detected]
        boxes = torch.cat([results.bboxes for _, results in detected])
        labels = torch.cat([results.labels for _, results in detected])
        sizes = [mask_size(batch_img_metas[image], rescale) for image, _ in detected]
        factors = [tuple(batch_img_metas[image]['scale_factor']) * 2 for image, _ in detected]
        known = [(image, *factor, *size) for (image, _), factor, size in zip(detected, factors, sizes)]
        known = torch.tensor(known, dtype=boxes.dtype).repeat_interleave(torch.tensor(counts), dim=0)
        image, factor, _ = known.to(boxes.device, non_blocking=True).split((1, 4, 2), dim=1)
        rois = torch.cat((image, boxes), dim=1)
        if rescale:
            boxes = boxes / factor
        # before the GPU has the mask head to do: where each mask goes is then found out meanwhile
        on_host = boxes.cpu()
        masks = mask_logits(self, x, rois, labels, kwargs.get('semantic_heat')).sigmoid().mean(0)
        runs = paste_masks(masks, on_host, known[:, 5:].long(), self.test_cfg.mask_thr_binary)
        for (_, results), box in zip(detected, boxes.split(counts)):
            results.bboxes = box
        give_masks([results for _, results in detected], runs, sizes)
        return results_list

    def _bbox_heads(self) -> Sequence[nn.Module]:
        return [self.bbox_head]

    def _mask_heads(self) -> Sequence[nn.Module]:
        return [self.mask_head]

    def classify(
        self, x: tuple[Tensor, ...], boxes: Tensor, bounds: Tensor, **kwargs  # noqa: ARG002  cascades clip boxes
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [B, P, 4] on images of bounds [B, 1, 4]: boxes, class probabilities [B * P, K + 1], deltas of these."""
        results = self._bbox_forward(x, rois_of(boxes), **kwargs)
        return boxes, results['cls_score'].softmax(-1), results['bbox_pred']


class BatchedCascadePrediction(BatchedPrediction):
    """The same before mmdet's `CascadeRoIHead`."""

    num_stages: int

    def _bbox_heads(self) -> Sequence[nn.Module]:
        return self.bbox_head

    def _mask_heads(self) -> Sequence[nn.Module]:
        return self.mask_head

    def classify(
        self, x: tuple[Tensor, ...], boxes: Tensor, bounds: Tensor, **kwargs
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same, where every stage but the last moves the boxes, and scores are means over stages."""
        scores = []
        for stage, head in enumerate(self.bbox_head):
            results = self._bbox_forward(stage, x, rois_of(boxes), **kwargs)
            scores.append(results['cls_score'])
            deltas = results['bbox_pred']
            if stage + 1 < self.num_stages:
                labels = scores[-1][:, :-1].argmax(1).view(boxes.shape[:2])
                boxes = _regress(head, boxes, own_deltas(head, deltas, labels), bounds)
        return boxes, (sum(scores[1:], scores[0]) / float(self.num_stages)).softmax(-1), deltas


def why_not_boxes(
    heads: Sequence[nn.Module], proposals: Sequence[InstanceData], test_cfg: ConfigDict | None
) -> str | None:
    """None when the boxes of such a batch are predicted at once, else the reason in words."""
    for head in heads:
        name = type(head).__name__
        if _overrides(head, BBoxHead, 'predict_by_feat', '_predict_by_feat_single', 'regress_by_class'):
            return f'{name} makes boxes in its own way'
        if not (head.with_cls and head.with_reg):
            return f'{name} has with_cls={head.with_cls}, with_reg={head.with_reg}'
        if head.custom_cls_channels or head.custom_activation:
            return f'{type(head.loss_cls).__name__} of {name} has an activation of its own'
        if type(head.bbox_coder) is not DeltaXYWHBBoxCoder or head.bbox_coder.add_ctr_clamp:
            return f'the box coder of {name} is another than DeltaXYWHBBoxCoder'
        if not head.bbox_coder.clip_border:
            return f'the box coder of {name} does not clip boxes to the image'
    # of ours, to look at one would synchronise with the GPU
    if proposals and not isinstance(proposals, BatchedProposals) and proposals[0].bboxes.dtype != torch.float32:
        return f'proposals are {proposals[0].bboxes.dtype}'
    if test_cfg is None:
        return 'boxes are wanted before NMS'
    return why_not_suppressed(test_cfg)


def why_not_suppressed(test_cfg: ConfigDict) -> str | None:
    """None when `suppress` is the NMS of such a setting, else the reason in words."""
    nms = test_cfg.nms
    needed, known = NMS_OPTIONS.get(nms.get('type', 'nms'), ({''}, set()))
    given = set(nms) - NO_OPTIONS
    if not needed <= given <= needed | known or nms.get('method', 'linear') not in METHODS:
        return f'nms={dict(nms)}'
    if test_cfg.max_per_img <= 0:
        return f'max_per_img={test_cfg.max_per_img}: there is no limit'
    return None


def suppress(boxes: Tensor, candidates: Candidates, test_cfg: ConfigDict) -> Detections:
    """The detections of each image that NMS or soft-NMS leaves, as `test_cfg` sets it; boxes [B, K, N, 4]."""
    options = {key: value for key, value in test_cfg.nms.items() if key not in NO_OPTIONS}
    if test_cfg.nms.get('type', 'nms') == 'nms':
        return multiclass_nms(boxes, candidates, options['iou_threshold'], test_cfg.max_per_img)
    return soft_multiclass_nms(boxes, candidates, SoftNms(**options), test_cfg.max_per_img)


def why_not_masks(
    heads: Sequence[nn.Module], results_list: Sequence[InstanceData], metas: Metas, test_cfg: ConfigDict
) -> str | None:
    """None when the masks of such a batch are predicted at once, else the reason in words."""
    for head in heads:
        if _overrides(head, FCNMaskHead, 'predict_by_feat', '_predict_by_feat_single'):
            return f'{type(head).__name__} makes masks in its own way'
    if any(type(results.bboxes) is not Tensor or results.bboxes.dtype != torch.float32 for results in results_list):
        return 'boxes are no float32 tensors'
    if test_cfg.mask_thr_binary < 0.5:
        return f'mask_thr_binary={test_cfg.mask_thr_binary} is less than 0.5'
    if any(meta.get('flip') for meta in metas):
        return 'images are flipped'
    return None


def _overrides(head: nn.Module, base: type, *methods: str) -> bool:
    if not isinstance(head, base):
        return True
    return any(getattr(type(head), method) is not getattr(base, method) for method in methods)


def _regress(head: BBoxHead, boxes: Tensor, deltas: Tensor, bounds: Tensor) -> Tensor:
    """Boxes [..., 4] moved by deltas [..., 4] that the head predicts, within bounds [..., 4]."""
    coding = coding_of(head.bbox_coder)
    return decode_boxes(boxes, deltas, coding.means, coding.stds).clamp(min=0).minimum(bounds)


def of_candidates(every: Tensor, candidates: Candidates) -> Tensor:
    """[B, P, K or 1, 4] -> [B, K, N, 4]: of a candidate's proposal and class."""
    indices = candidates.proposals[..., None].expand(-1, -1, -1, 4)
    return every.expand(-1, -1, indices.shape[1], -1).transpose(1, 2).gather(2, indices)


def _nothing(boxes: Tensor) -> list[InstanceData]:
    """No detections in any of the images of boxes [B, P, 4]."""
    none = boxes.new_empty(0)
    labels = none.long()
    return [InstanceData(bboxes=none.view(0, 4), scores=none, labels=labels) for _ in range(len(boxes))]


def give_masks(results_list: Sequence[InstanceData], runs: Sequence[Sequence[int]], sizes: Sequence[Size]) -> None:
    """Masks to instances, from the runs of all of them, one image after the other of `sizes`, height and width."""
    for results, size in zip(results_list, sizes, strict=True):
        mine, runs = runs[: len(results)], runs[len(results) :]
        results.masks = EncodedMasks.from_runs(mine, *size, device=results.bboxes.device)


def mask_size(meta: dict, rescale: bool) -> Size:
    """Height and width of an image's masks."""
    height, width = meta['ori_shape'][:2]
    if rescale:
        return height, width
    # a float32, as mmdet takes it
    wide, high = torch.tensor(meta['scale_factor'], dtype=torch.float32).tolist()[:2]
    return round(height * high), round(width * wide)

"""Test time of two-stage detectors for all images of a batch at once."""

from collections.abc import Sequence

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.models.utils import empty_instances
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from swin_mmdet.detectors.encoded_masks import EncodedMasks
from swin_mmdet.detectors.matching import coding_of
from swin_mmdet.ops.box_deltas import decode_boxes
from swin_mmdet.ops.multiclass_nms import multiclass_nms
from swin_mmdet.ops.paste_masks import paste_masks
from swin_mmdet.ops.shifted_window_attention.backends import log_once
from swin_mmdet.ops.to_device import to_device

# of mmcv's NMS: those that change nothing here
NMS_OPTIONS = {'type', 'iou_threshold', 'split_thr'}
Metas = Sequence[dict]


class BatchedPrediction:
    """Goes before mmdet's `StandardRoIHead` in the bases of a class: the same detections and masks, found in one go.

    The host waits for a GPU once for the boxes of a batch, to learn their number, and for its masks to fetch boxes and
    run lengths. Masks are `EncodedMasks`: bool tensors to whoever looks at them, run lengths to who writes results.
    What `why_not_boxes` and `why_not_masks` name is left to mmdet, and logged.
    """

    def predict_bbox(
        self, x: tuple[Tensor, ...], batch_img_metas: Metas, rpn_results_list: list[InstanceData],
        rcnn_test_cfg: ConfigDict, rescale: bool = False, **kwargs,
    ) -> list[InstanceData]:
        """Bboxes [n, 4], scores [n] and labels [n] of each image from its proposals [p, 4], best first.

        With `rescale` in pixels of the original image.
        """
        proposals = [get_box_tensor(results.bboxes) for results in rpn_results_list]
        reason = why_not_boxes(self._bbox_heads(), proposals, rcnn_test_cfg)
        if reason is not None:
            log_once(f'boxes are predicted image by image: {reason}')
        if reason is not None or not any(map(len, proposals)):
            return super().predict_bbox(x, batch_img_metas, rpn_results_list, rcnn_test_cfg, rescale, **kwargs)
        counts = [len(boxes) for boxes in proposals]
        of_image = _numbers(counts, proposals[0].device)
        bounds = to_device([meta['img_shape'][1::-1] * 2 for meta in batch_img_metas], proposals[0])[of_image]
        rois, scores, deltas = self._classify(x, bbox2roi(proposals), bounds, **kwargs)
        deltas = deltas.view(len(rois), -1, 4)
        boxes = _regress(self._bbox_heads()[-1], rois[:, None, 1:], deltas, bounds[:, None])
        if rescale:
            factors = [[1 / factor for factor in meta['scale_factor']] * 2 for meta in batch_img_metas]
            boxes = boxes * to_device(factors, boxes)[of_image, None]
        boxes, scores = (pad_sequence(every.split(counts), batch_first=True) for every in (boxes, scores))
        valid = torch.arange(max(counts), device=boxes.device) < to_device(counts, boxes)[:, None]
        found = multiclass_nms(
            boxes, scores[..., :-1], valid, rcnn_test_cfg.score_thr, rcnn_test_cfg.nms['iou_threshold'],
            rcnn_test_cfg.max_per_img,
        )
        return [
            InstanceData(bboxes=boxes[:count], scores=scores[:count], labels=labels[:count])
            for boxes, scores, labels, count in zip(*found[:3], found.counts.tolist())
        ]

    def predict_mask(
        self, x: tuple[Tensor, ...], batch_img_metas: Metas, results_list: list[InstanceData], rescale: bool = False
    ) -> list[InstanceData]:
        """`results_list` with masks [n, H, W] of the original image with `rescale`, else of the one the model saw.

        `rescale` is done to the boxes too.
        """
        reason = why_not_masks(self._mask_heads(), results_list, batch_img_metas, self.test_cfg)
        if reason is not None:
            log_once(f'masks are predicted image by image: {reason}')
        if reason is not None or not any(map(len, results_list)):
            return super().predict_mask(x, batch_img_metas, results_list, rescale)
        counts = [len(results) for results in results_list]
        boxes = torch.cat([results.bboxes for results in results_list])
        labels = torch.cat([results.labels for results in results_list])
        rois = bbox2roi([results.bboxes for results in results_list])
        if rescale:
            factors = to_device([tuple(meta['scale_factor']) * 2 for meta in batch_img_metas], boxes)
            boxes = boxes / factors[_numbers(counts, boxes.device)]
        # before the GPU has the mask head to do: where each mask goes is then found out meanwhile
        on_host = boxes.cpu()
        masks = self._segment(x, rois, labels)
        sizes = [_mask_size(meta, rescale) for meta in batch_img_metas]
        of_masks = torch.tensor(sizes).repeat_interleave(torch.tensor(counts), dim=0)
        runs = paste_masks(masks, on_host, of_masks, self.test_cfg.mask_thr_binary)
        for results, meta, size, box in zip(results_list, batch_img_metas, sizes, boxes.split(counts)):
            if len(results):
                mine, runs = runs[: len(results)], runs[len(results) :]
                results.bboxes, results.masks = box, EncodedMasks.from_runs(mine, *size, device=box.device)
            else:
                empty_instances([meta], box.device, 'mask', [results], self.test_cfg.mask_thr_binary)
        return results_list

    def _bbox_heads(self) -> Sequence[nn.Module]:
        return [self.bbox_head]

    def _mask_heads(self) -> Sequence[nn.Module]:
        return [self.mask_head]

    def _classify(self, x: tuple[Tensor, ...], rois: Tensor, _bounds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rois [R, 5] on images of bounds [R, 4]: rois, class probabilities [R, K + 1], deltas of these rois."""
        results = self._bbox_forward(x, rois)
        return rois, results['cls_score'].softmax(-1), results['bbox_pred']

    def _segment(self, x: tuple[Tensor, ...], rois: Tensor, labels: Tensor) -> Tensor:
        """Probabilities [R, S, S] of the masks in rois [R, 5] for labels [R]."""
        return _of_label(self._mask_forward(x, rois)['mask_preds'], labels).sigmoid()


class BatchedCascadePrediction(BatchedPrediction):
    """The same before mmdet's `CascadeRoIHead`."""

    def _bbox_heads(self) -> Sequence[nn.Module]:
        return self.bbox_head

    def _mask_heads(self) -> Sequence[nn.Module]:
        return self.mask_head

    def _classify(self, x: tuple[Tensor, ...], rois: Tensor, bounds: Tensor, **kwargs) -> tuple[Tensor, Tensor, Tensor]:
        """The same, where every stage but the last moves the rois, and scores are means over stages."""
        score = 0
        for stage, head in enumerate(self.bbox_head):
            results = self._bbox_forward(stage, x, rois, **kwargs)
            score, deltas = score + results['cls_score'], results['bbox_pred']
            if stage + 1 < self.num_stages:
                label = results['cls_score'][:, :-1].argmax(1)
                delta = _of_label(deltas.view(len(rois), -1, 4), label)
                rois = torch.cat((rois[:, :1], _regress(head, rois[:, 1:], delta, bounds)), dim=1)
        return rois, (score / float(self.num_stages)).softmax(-1), deltas

    def _segment(self, x: tuple[Tensor, ...], rois: Tensor, labels: Tensor) -> Tensor:
        stages = (self._mask_forward(stage, x, rois)['mask_preds'] for stage in range(self.num_stages))
        return torch.stack([_of_label(masks, labels).sigmoid() for masks in stages]).mean(0)


def why_not_boxes(heads: Sequence[nn.Module], proposals: Sequence[Tensor], test_cfg: ConfigDict | None) -> str | None:
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
    if proposals[0].dtype != torch.float32:
        return f'proposals are {proposals[0].dtype}'
    if test_cfg is None:
        return 'boxes are wanted before NMS'
    nms = test_cfg.nms
    if nms.get('type', 'nms') != 'nms' or set(nms) - NMS_OPTIONS or 'iou_threshold' not in nms:
        return f'nms={dict(nms)}'
    if test_cfg.max_per_img <= 0:
        return f'max_per_img={test_cfg.max_per_img}: there is no limit'
    return None


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


def _of_label(every: Tensor, labels: Tensor) -> Tensor:
    """[R, K, ...] -> [R, ...]: what is predicted for labels [R], or for all classes where K is 1."""
    return every[:, 0] if every.shape[1] == 1 else every[torch.arange(len(every), device=every.device), labels]


def _numbers(counts: Sequence[int], device: torch.device) -> Tensor:
    """[sum(counts)]: counts[0] times 0, counts[1] times 1 and so on."""
    return torch.arange(len(counts)).repeat_interleave(torch.tensor(counts)).to(device, non_blocking=True)


def _mask_size(meta: dict, rescale: bool) -> tuple[int, int]:
    """Height and width of an image's masks."""
    height, width = meta['ori_shape'][:2]
    if rescale:
        return height, width
    # a float32, as mmdet takes it
    wide, high = torch.tensor(meta['scale_factor'], dtype=torch.float32).tolist()[:2]
    return round(height * high), round(width * wide)

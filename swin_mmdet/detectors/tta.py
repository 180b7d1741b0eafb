"""Test-time augmentation of boxes and masks: several scales and flips of each image, seen as one."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.layers import multiclass_nms
from mmdet.models.roi_heads import CascadeRoIHead, HybridTaskCascadeRoIHead, StandardRoIHead
from mmdet.models.test_time_augs import DetTTAModel as MMDetTTAModel
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_flip, bbox_mapping
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.htc_roi_head import HybridTaskCascadeRoIHead as OurHybridTaskCascadeRoIHead
from swin_mmdet.detectors.mask_logits import mask_logits, semantic_features
from swin_mmdet.detectors.prediction import BatchedPrediction, of_candidates, suppress, why_not_suppressed
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.multiclass_nms import find_candidates
from swin_mmdet.ops.paste_masks import paste_masks
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import EncodedMasks

# the axes of a map [..., H, W] that a flip turns
FLIPPED = {'horizontal': [-1], 'vertical': [-2], 'diagonal': [-2, -1]}
# whose ways to predict are known
ROI_HEADS = (StandardRoIHead, CascadeRoIHead, HybridTaskCascadeRoIHead, BatchedPrediction, OurHybridTaskCascadeRoIHead)


class View(NamedTuple):
    """What a detector sees in one view of a batch of B images."""

    maps: Sequence[Tensor]  # of its pyramid, [B, C, H, W] each
    semantic: dict[str, Tensor]  # what `semantic_features` returns
    samples: Sequence[DetDataSample]
    raw: Sequence[InstanceData]  # boxes [n, 4] or [n, K * 4] in the original image, though flipped, scores [n, K + 1]


@MODELS.register_module()
class DetTTAModel(MMDetTTAModel):
    """mmdet's `DetTTAModel`, for masks too; used by `tools/test.py --tta`, or as `tta_model` of a config.

    Of Faster, Mask and Cascade (Mask) R-CNN and HTC the boxes of all views before NMS are mapped back and go through
    the detector's own NMS or soft-NMS together. The mask head then looks at these boxes in every view, flips are
    undone, and the logits are averaged (each stage of a cascade alone). A single view without a flip gives what the
    detector gives. The maps of all views are kept meanwhile: 0.2 GB for one of 1600 x 1400 pixels and 256 channels.

    Of other detectors the boxes that each view finds are merged as in mmdet; the log says so.

    Args:
        module: the detector, or its config
        tta_cfg: `nms` and `max_per_img` other than the detector's

    Raises:
        NotImplementedError: masks of a detector that predicts them in another way.
        ValueError: masks with `mask_thr_binary` below 0.5.
    """

    def __init__(self, module: nn.Module | dict, tta_cfg: dict | None = None, **kwargs) -> None:
        super().__init__(tta_cfg=ConfigDict(tta_cfg or {}), module=module, **kwargs)
        reason = self._why_not_views()
        if reason is not None:
            log_once(f'DetTTAModel: boxes of views are merged as in mmdet: {reason}')
            test_cfg = self.module.test_cfg or {}
            self.tta_cfg.setdefault('nms', test_cfg.get('nms', dict(type='nms', iou_threshold=0.5)))
            self.tta_cfg.setdefault('max_per_img', test_cfg.get('max_per_img', 100))
        elif self.module.roi_head.with_mask and self.module.test_cfg.rcnn.mask_thr_binary < 0.5:
            thr = self.module.test_cfg.rcnn.mask_thr_binary
            raise ValueError(f'test-time augmentation of masks takes mask_thr_binary >= 0.5, got {thr}')

    @torch.no_grad()
    def test_step(self, data: dict) -> list[DetDataSample]:
        """Predictions of B images, in pixels of the original image.

        Args:
            data: `inputs` and `data_samples`, of each of V views the list of the B images', as `TestTimeAug` and
                `pseudo_collate` make them; the samples are those of the first view.
        """
        if self._why_not_views() is not None:
            return super().test_step(data)
        views = [self._look(*view) for view in zip(data['inputs'], data['data_samples'], strict=True)]
        return [self._merge(views, image) for image in range(len(views[0].samples))]

    def _why_not_views(self) -> str | None:
        """None when the detector can be asked for boxes before NMS and for the masks of given boxes, else why."""
        detector, name = self.module, type(self.module).__name__
        if not isinstance(detector, TwoStageDetector) or type(detector).predict is not TwoStageDetector.predict:
            return f'{name} is not one of the R-CNNs'
        if not detector.with_rpn:
            return f'{name} has no RPN'
        head, name = detector.roi_head, type(detector.roi_head).__name__
        for method in ('predict', 'predict_bbox', 'predict_mask'):
            if not any(getattr(type(head), method) is getattr(known, method, None) for known in ROI_HEADS):
                return f'{name} has a {method} of its own'
        return None

    def _look(self, inputs: list[Tensor], samples: list[DetDataSample]) -> View:
        """One view of the images."""
        detector = self.module
        data = detector.data_preprocessor(dict(inputs=inputs, data_samples=samples), False)
        maps, samples = detector.extract_feat(data['inputs']), data['data_samples']
        proposals = detector.rpn_head.predict(maps, samples, rescale=False)
        semantic = semantic_features(detector.roi_head, maps)
        metas = [sample.metainfo for sample in samples]
        raw = detector.roi_head.predict_bbox(maps, metas, list(proposals), None, rescale=True, **semantic)
        return View(maps, semantic, samples, raw)

    def _merge(self, views: Sequence[View], image: int) -> DetDataSample:
        """The predictions of one image."""
        sample = views[0].samples[image]
        detections = self._boxes(views, image)
        if self.module.roi_head.with_mask:
            detections.masks = self._masks(views, image, detections.bboxes, detections.labels)
        sample.pred_instances = detections
        return sample

    def _boxes(self, views: Sequence[View], image: int) -> InstanceData:
        """What NMS leaves of the boxes of all views."""
        seen = [(view.raw[image], view.samples[image].metainfo) for view in views if len(view.raw[image])]
        if not seen:
            none = views[0].raw[image]
            return InstanceData(bboxes=none.bboxes, scores=none.scores.flatten(), labels=none.labels)
        boxes = torch.cat([_unflipped(raw.bboxes.float(), meta) for raw, meta in seen]).unflatten(1, (-1, 4))
        scores = torch.cat([raw.scores.float() for raw, _ in seen])
        return _detections(boxes, scores, ConfigDict(**self.module.test_cfg.rcnn | self.tta_cfg))

    def _masks(self, views: Sequence[View], image: int, boxes: Tensor, labels: Tensor) -> EncodedMasks:
        """Of boxes [n, 4] in the original image with labels [n]."""
        roi_head, meta = self.module.roi_head, views[0].samples[image].metainfo
        height, width = meta['ori_shape'][:2]
        if not len(boxes):
            return EncodedMasks([], height, width, boxes.device)
        logits = [self._logits(view, image, boxes, labels) for view in views]
        masks = torch.stack(logits).mean(0).sigmoid().mean(0)
        sizes = torch.tensor([(height, width)]).expand(len(boxes), 2)
        runs = paste_masks(masks, boxes.cpu(), sizes, roi_head.test_cfg.mask_thr_binary)
        return EncodedMasks.from_runs(runs, height, width, boxes.device)

    def _logits(self, view: View, image: int, boxes: Tensor, labels: Tensor) -> Tensor:
        """[stages, n, S, S] as the original image has them: unflipped."""
        meta = view.samples[image].metainfo
        flip = meta['flip_direction'] if meta.get('flip') else None
        boxes = bbox_mapping(boxes, meta['img_shape'], tuple(meta['scale_factor']) * 2, flip is not None, flip)
        rois = torch.cat([boxes.new_full((len(boxes), 1), image), boxes], 1)
        logits = mask_logits(self.module.roi_head, view.maps, rois, labels, **view.semantic).float()
        return logits.flip(FLIPPED[flip]) if flip else logits

    def _merge_single_sample(self, data_samples: list[DetDataSample]) -> DetDataSample:
        if 'masks' in data_samples[0].pred_instances:
            raise NotImplementedError(
                f'test-time augmentation of masks is for Mask R-CNN, its cascades and HTC, and {self._why_not_views()}'
            )
        return super()._merge_single_sample(data_samples)


def _unflipped(boxes: Tensor, meta: dict) -> Tensor:
    """Boxes [n, K * 4] of a view, in pixels of the original image but perhaps mirrored, where they are in it."""
    return bbox_flip(boxes, meta['ori_shape'], meta['flip_direction']) if meta.get('flip') else boxes


def _detections(boxes: Tensor, scores: Tensor, test_cfg: ConfigDict) -> InstanceData:
    """Of boxes [n, K or 1, 4] with scores [n, K + 1], n > 0, those that NMS leaves."""
    if why_not_suppressed(test_cfg) is None:
        valid = torch.ones(1, len(boxes), dtype=torch.bool, device=boxes.device)
        candidates = find_candidates(scores[None, :, :-1], valid, test_cfg.score_thr)
        if candidates is None:
            return InstanceData(bboxes=boxes[:0, 0], scores=scores[:0, 0], labels=valid[0, :0].long())
        detections = suppress(of_candidates(boxes[None], candidates), candidates, test_cfg)
        count = int(detections.counts)
        return InstanceData(
            bboxes=detections.boxes[0, :count],
            scores=detections.scores[0, :count],
            labels=detections.labels[0, :count],
        )
    kept, labels = multiclass_nms(boxes.flatten(1), scores, test_cfg.score_thr, test_cfg.nms, test_cfg.max_per_img)
    return InstanceData(bboxes=kept[:, :4], scores=kept[:, 4], labels=labels)

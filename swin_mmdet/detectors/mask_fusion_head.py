"""mmdet's results of MaskFormer and Mask2Former: instances as run lengths, segments of a panoptic map."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmdet.models.seg_heads import MaskFormerFusionHead as MMDetMaskFormerFusionHead
from mmdet.structures import SampleList
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.mask_runs import boxes_of_masks, changes_in_columns
from swin_mmdet.ops.paste_masks import runs_between
from swin_mmdet.ops.to_device import AsyncHostCopy, to_device
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import EncodedMasks

# pixels of masks that are made at once, at 20 bytes or so
PIXELS_AT_ONCE = 2**25


@MODELS.register_module()
class MaskFormerFusionHead(MMDetMaskFormerFusionHead):
    """mmdet's `MaskFormerFusionHead`: same arguments and results; masks of instances are `EncodedMasks`.

    Masks may come as small as they were predicted. Only those that are kept grow, some at a time, and only run lengths
    leave a GPU.
    """

    def predict(
        self, mask_cls_results: Tensor, mask_pred_results: Tensor, batch_data_samples: SampleList,
        rescale: bool = False, **kwargs,
    ) -> list[dict]:  # fmt: skip
        """`pan_results` and `ins_results` of each image as `test_cfg` asks for them; with `rescale` of the original.

        Logits of classes [B, Q, classes + 1] and of masks [B, Q, H, W] of any size.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        reason = self._why_not_batched()
        if reason is not None:
            log_once(f'{type(self).__name__}: results are made image by image: {reason}')
            masks = _resized(mask_pred_results, tuple(metas[0]['batch_input_shape']))
            return super().predict(mask_cls_results, masks, batch_data_samples, rescale, **kwargs)
        scores = mask_cls_results.float().softmax(-1)
        results = [{} for _ in metas]
        if self.test_cfg.get('panoptic_on', True):
            segments = self._segments(scores, mask_pred_results, metas, rescale)
            for result, own in zip(results, segments, strict=True):
                result['pan_results'] = own
        if self.test_cfg.get('instance_on', False):
            instances = self._instances(scores, mask_pred_results, metas, rescale)
            for result, own in zip(results, instances, strict=True):
                result['ins_results'] = own
        return results

    def _why_not_batched(self) -> str | None:
        for name in ('panoptic_postprocess', 'instance_postprocess', 'semantic_postprocess'):
            if getattr(type(self), name) is not getattr(MMDetMaskFormerFusionHead, name):
                return f'{type(self).__name__} has a {name} of its own'
        return f'semantic_on={self.test_cfg.semantic_on}' if self.test_cfg.get('semantic_on', False) else None

    def _instances(
        self, scores: Tensor, masks: Tensor, metas: Sequence[dict], rescale: bool
    ) -> list[InstanceData]:
        """Of probabilities [B, Q, classes + 1] and logits [B, Q, H, W]."""
        scores, best = scores[..., :-1].flatten(1).topk(
            self.test_cfg.get('max_per_image', 100), 1, sorted=False
        )
        chosen = AsyncHostCopy(best).wait().numpy()
        things = chosen % self.num_classes < self.num_things_classes
        queries, kept, inverse = [], [], []
        for own, is_thing in zip(chosen, things, strict=True):
            query, back = np.unique(own[is_thing] // self.num_classes, return_inverse=True)
            queries.append(query)
            kept.append(np.flatnonzero(is_thing))
            inverse.append(back)
        drawn = _DrawnMasks(masks.device)
        for image, (query, meta) in enumerate(zip(queries, metas, strict=True)):
            drawn.add(masks[image, to_device(query, masks, torch.int64)], meta, rescale)
        instances = []
        for image, ((sure, boxes), encoded) in enumerate(zip(drawn.sure_and_boxes, drawn.encoded(), strict=True)):
            indices, back = to_device(np.stack([kept[image], inverse[image]]), masks, torch.int64)
            instances.append(
                InstanceData(
                    bboxes=boxes[back],
                    labels=best[image, indices] % self.num_classes,
                    scores=scores[image, indices] * sure[back],
                    masks=encoded[inverse[image]],
                )
            )
        return instances

    def _segments(self, scores: Tensor, masks: Tensor, metas: Sequence[dict], rescale: bool) -> list[PixelData]:
        """The same as a map of segments."""
        best, labels = scores.max(-1)
        is_kept = (labels != self.num_classes) & (best > self.test_cfg.get('object_mask_thr', 0.8))
        known = AsyncHostCopy(torch.where(is_kept, labels, -1)).wait().numpy()
        drawn: list[tuple[Tensor, _Drawn | None]] = []
        for image, (own, meta) in enumerate(zip(known, metas, strict=True)):
            query = to_device(np.flatnonzero(own >= 0), masks, torch.int64)
            p = _as_seen(masks[image, query], meta, rescale).sigmoid()
            if not len(query):
                drawn.append((p, None))
                continue
            ids = (best[image, query][:, None, None] * p).argmax(0)
            likely = p >= 0.5
            own = ids == torch.arange(len(query), device=ids.device)[:, None, None]
            areas = AsyncHostCopy(torch.stack([own.flatten(1).sum(1), likely.flatten(1).sum(1)]))
            drawn.append((p, _Drawn(ids, likely, areas)))
        return [self._map(own[own >= 0], *parts) for own, parts in zip(known, drawn, strict=True)]

    def _map(self, labels: np.ndarray, p: Tensor, drawn: '_Drawn | None') -> PixelData:
        """Of masks with `labels` [n] and probabilities p [n, H, W]."""
        if drawn is None:
            return PixelData(sem_seg=p.new_full((1, *p.shape[1:]), self.num_classes, dtype=torch.int32))
        values, instances = [], 0
        for label, own, whole in zip(labels.tolist(), *drawn.areas.wait().tolist(), strict=True):
            if not own or not whole or own / whole < self.test_cfg.get('iou_thr', 0.8):
                values.append(self.num_classes)
            elif label < self.num_things_classes:
                instances += 1
                values.append(label + instances * INSTANCE_OFFSET)
            else:
                # all stuff of a class is one segment
                values.append(label)
        segments = to_device(values, p, torch.int32)[drawn.ids]
        if self.test_cfg.get('filter_low_score', False):
            segments = segments.where(drawn.likely.gather(0, drawn.ids[None])[0], self.num_classes)
        return PixelData(sem_seg=segments[None])


class _Drawn(NamedTuple):
    """The n masks of an image in one picture."""

    ids: Tensor  # [H, W]: whose each pixel is
    likely: Tensor  # [n, H, W] bool
    areas: AsyncHostCopy  # [2, n]: pixels that are its, and that are likely


class _DrawnMasks:
    """Masks of images, which become run lengths on the way."""

    def __init__(self, device: torch.device) -> None:
        self.sure_and_boxes: list[tuple[Tensor, Tensor]] = []  # of each image: how sure its masks are [n], boxes [n, 4]
        self._device, self._sizes, self._changes, self._starts = device, [], [], [0]

    def add(self, masks: Tensor, meta: dict, rescale: bool) -> None:
        """Of one image: logits [n, H, W]."""
        size = _size(meta, rescale)
        pixels = max(size[0] * size[1], meta['batch_input_shape'][0] * meta['batch_input_shape'][1])
        parts = []
        for part in masks.split(max(1, PIXELS_AT_ONCE // pixels)):
            part = _as_seen(part, meta, rescale)
            bits = part > 0
            sure = (part.sigmoid() * bits).flatten(1).sum(1) / (bits.flatten(1).sum(1) + 1e-6)
            parts.append((sure, boxes_of_masks(bits)))
            instance, index = changes_in_columns(bits)
            first = len(self._starts) - 1
            self._changes.append((instance + first, index + instance * (size[0] * size[1]) + self._starts[-1]))
            for _ in range(len(bits)):
                self._starts.append(self._starts[-1] + size[0] * size[1])
        self.sure_and_boxes.append(tuple(map(torch.cat, zip(*parts, strict=True))))
        self._sizes.append((len(masks), *size))

    def encoded(self) -> list[EncodedMasks]:
        """Of each image."""
        start = to_device(self._starts, torch.empty(0, device=self._device), torch.int64)
        instance, index = (torch.cat(parts) for parts in zip(*self._changes, strict=True))
        runs = runs_between(instance, index, start)
        encoded = []
        for count, height, width in self._sizes:
            mine, runs = runs[:count], runs[count:]
            encoded.append(EncodedMasks.from_runs(mine, height, width, self._device))
        return encoded


def _size(meta: dict, rescale: bool) -> tuple[int, int]:
    """Height and width of an image's results."""
    return tuple(meta['ori_shape' if rescale else 'img_shape'][:2])


def _as_seen(masks: Tensor, meta: dict, rescale: bool) -> Tensor:
    """Of one image: logits [n, H, W] in float32, of its padded size and then of its own, without padding."""
    masks = _resized(masks[None].float(), tuple(meta['batch_input_shape']))
    height, width = meta['img_shape'][:2]
    masks = masks[..., :height, :width]
    return (_resized(masks, _size(meta, rescale)) if rescale else masks)[0]


def _resized(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """[B, n, H, W] bilinear to (height, width)."""
    if tuple(masks.shape[-2:]) == size or not masks.shape[1]:
        return masks if masks.shape[1] else masks.new_empty(*masks.shape[:2], *size)
    return F.interpolate(masks, size, mode='bilinear', align_corners=False)

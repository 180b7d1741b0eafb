"""mmdet's results of MaskFormer and Mask2Former: instances as run lengths, segments of a panoptic map."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmdet.models.seg_heads import MaskFormerFusionHead as MMDetMaskFormerFusionHead
from mmdet.structures import SampleList
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from swin_mmdet.ops.grown_masks import Growth, grow_masks, grown, resized
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.mask_runs import chosen_runs
from swin_mmdet.ops.to_device import AsyncHostCopy, to_device
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import EncodedMasks


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
            masks = resized(mask_pred_results, tuple(metas[0]['batch_input_shape']))
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
        is_thing = chosen % self.num_classes < self.num_things_classes
        # of each image the queries whose masks are made, and which of these each result has
        queries, own = zip(
            *(np.unique(one[kept] // self.num_classes, return_inverse=True)
              for one, kept in zip(chosen, is_thing, strict=True)),
            strict=True,
        )  # fmt: skip
        counts = [len(one) for one in queries]
        flat = np.concatenate(queries) + np.repeat(np.arange(len(counts)) * masks.shape[1], counts)
        growths = [Growth(tuple(meta['batch_input_shape']), *_sizes(meta, rescale)) for meta in metas]
        drawn = grow_masks(masks.flatten(0, 1)[to_device(flat, masks, torch.int64)], growths, counts)
        first = np.cumsum([0, *counts[:-1]])
        numbers = np.concatenate([one + start for one, start in zip(own, first, strict=True)])
        kept, back = to_device(np.stack([np.flatnonzero(is_thing), numbers]), masks, torch.int64)
        parts = drawn.boxes[back], best.flatten()[kept] % self.num_classes, scores.flatten()[kept] * drawn.sure[back]
        of_images = zip(*(part.split([len(one) for one in own]) for part in parts), strict=True)
        instances, runs = [], iter(numbers.tolist())
        for (boxes, labels, sure), growth in zip(of_images, growths, strict=True):
            mine = chosen_runs(drawn.runs, list(islice(runs, len(boxes))))
            encoded = EncodedMasks.from_runs(mine, *growth.size, masks.device)
            instances.append(InstanceData(bboxes=boxes, labels=labels, scores=sure, masks=encoded))
        return instances

    def _segments(self, scores: Tensor, masks: Tensor, metas: Sequence[dict], rescale: bool) -> list[PixelData]:
        """The same as a map of segments."""
        best, labels = scores.max(-1)
        is_kept = (labels != self.num_classes) & (best > self.test_cfg.get('object_mask_thr', 0.8))
        known = AsyncHostCopy(torch.where(is_kept, labels, -1)).wait().numpy()
        drawn: list[tuple[Tensor, _Drawn | None]] = []
        for image, (own, meta) in enumerate(zip(known, metas, strict=True)):
            query = to_device(np.flatnonzero(own >= 0), masks, torch.int64)
            p = grown(masks[image, query], Growth(tuple(meta['batch_input_shape']), *_sizes(meta, rescale))).sigmoid()
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


def _sizes(meta: dict, rescale: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    """Heights and widths of an image without its padding, and of its results."""
    return tuple(meta['img_shape'][:2]), tuple(meta['ori_shape' if rescale else 'img_shape'][:2])

"""mmdet's heads of Sparse R-CNN for a batch at once."""

from collections.abc import Sequence

import torch
from mmdet.models.losses import accuracy
from mmdet.models.roi_heads import SparseRoIHead as MMDetSparseRoIHead
from mmdet.models.roi_heads.bbox_heads import BBoxHead, DIIHead
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.cascade_training import of_stage
from swin_mmdet.detectors.image_sizes import image_sizes
from swin_mmdet.detectors.matching import decode_in_images, why_not_coded
from swin_mmdet.detectors.set_matching import (
    AsyncCosts,
    Matches,
    match_cheapest,
    pair_costs,
    why_not_matched_together,
)
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.roi_align import channels_innermost
from swin_mmdet.ops.to_device import NewTensors, to_device
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import gather_objects, rois_of


@MODELS.register_module()
class SparseRoIHead(MMDetSparseRoIHead):
    """mmdet's `SparseRoIHead`, of Sparse R-CNN and QueryInst: same parameters, arguments, losses and detections.

    In training the host synchronises with a GPU once, after all stages, for what it costs to match their predictions
    with objects; the mask losses, which are mmdet's, make it synchronise again. What is set otherwise (another
    assigner, box head or box coder) trains or refines boxes as in mmdet; the log says so.
    """

    def loss(
        self, x: Sequence[Tensor], rpn_results_list: Sequence[InstanceData], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """The losses of each stage, such as `s0.loss_cls`; arguments as in mmdet.

        Raises:
            ValueError: scores or boxes are not numbers, so that nothing can be matched.
        """
        reason = self._why_not_batched()
        if reason is not None:
            log_once(f'{type(self).__name__}: training as in mmdet: {reason}')
            return super().loss(x, rpn_results_list, batch_data_samples)
        instances, _, metas = unpack_gt_instances(batch_data_samples)
        x = channels_innermost(x)
        boxes = torch.stack([image.bboxes for image in rpn_results_list])
        features = torch.stack([image.pop('features') for image in rpn_results_list])
        sizes = torch.cat([image.imgs_whwh for image in rpn_results_list])
        # no stage needs to know what the one before was matched with
        stages = []
        for stage in range(self.num_stages):
            outputs = self._bbox_forward(stage, x, rois_of(boxes), features, metas)
            boxes, features = torch.stack(outputs['detached_proposals']), outputs['object_feats']
            stages.append(outputs | {'boxes': boxes})
        with NewTensors(to_device):
            scores, boxes = (torch.stack([outputs[name] for outputs in stages]) for name in ('cls_score', 'boxes'))
            objects, whole = gather_objects(instances), image_sizes(metas, boxes)
            costs = AsyncCosts([pair_costs(self.bbox_assigner[0], scores, boxes, objects, whole)])
            matches = match_cheapest(costs.wait()[0], instances)
            # the same in every stage
            count = reduce_mean(sizes.new_full((), sum(matches.counts)))
            losses = {}
            for stage, outputs in enumerate(stages):
                own, config, weight = matches.of_layer(stage), self.train_cfg[stage], self.stage_loss_weights[stage]
                box_losses = dii_loss(self.bbox_head[stage], outputs, own, sizes, count, config.pos_weight)
                losses |= of_stage(stage, box_losses, weight)
                if self.with_mask:
                    losses |= of_stage(stage, self._mask_loss(stage, x, outputs, own, instances), weight)
        return losses

    def _mask_loss(
        self, stage: int, x: Sequence[Tensor], outputs: dict, matches: Matches, instances: Sequence[InstanceData]
    ) -> dict[str, Tensor]:
        """`loss_mask` of mmdet's mask head, of what `_bbox_forward` returned."""
        regions = rois_of(outputs['boxes'])[matches.indices]
        features = outputs['attn_feats'].flatten(0, 1)[matches.indices]
        predicted = self._mask_forward(stage, x, regions, features)['mask_preds']
        # what the head takes of sampling results
        parts = {
            'pos_priors': regions[:, 1:], 'pos_assigned_gt_inds': matches.objects, 'pos_gt_labels': matches.labels,
        }  # fmt: skip
        images = zip(*(part.split(matches.counts) for part in parts.values()), strict=True)
        sampled = [InstanceData(**dict(zip(parts, image, strict=True))) for image in images]
        head = self.mask_head[stage]
        return head.loss_and_target(predicted, sampled, instances, self.train_cfg[stage])['loss_mask']

    def _why_not_batched(self) -> str | None:
        """None when training is that of Sparse R-CNN or QueryInst, else why in words."""
        for head in self.bbox_head:
            for name in ('loss_and_target', 'get_targets', '_get_targets_single'):
                if getattr(type(head), name) is not getattr(DIIHead, name, None):
                    return f'{type(head).__name__} has a {name} of its own'
        return why_not_matched_together(self.bbox_assigner)

    def _bbox_forward(
        self, stage: int, x: Sequence[Tensor], rois: Tensor, object_feats: Tensor, batch_img_metas: Sequence[dict]
    ) -> dict:
        """As mmdet's, which synchronises to learn which regions are of an image.

        rois [B * P, 5], P of one image and then P of the next, object_feats [B, P, C].
        """
        head, extractor = self.bbox_head[stage], self.bbox_roi_extractor[stage]
        reason = why_not_refined(head)
        if reason is not None:
            log_once(f'{type(self).__name__}: boxes as in mmdet: {reason}')
            return super()._bbox_forward(stage, x, rois, object_feats, batch_img_metas)
        regions = extractor(x[: extractor.num_inputs], rois)
        scores, deltas, object_feats, attention = head(regions, object_feats)
        boxes = decode_in_images(head.bbox_coder, rois[:, 1:].view_as(deltas), deltas, batch_img_metas)
        return {
            'cls_score': scores,
            'decoded_bboxes': boxes.flatten(0, 1),
            'object_feats': object_feats,
            'attn_feats': attention,
            'detached_cls_scores': list(scores.detach()),
            'detached_proposals': list(boxes.detach()),
        }


def why_not_refined(head: BBoxHead) -> str | None:
    """None when a head's boxes are those that its coder decodes, else why in words."""
    for name in ('refine_bboxes', 'regress_by_class'):
        if getattr(type(head), name) is not getattr(BBoxHead, name):
            return f'{type(head).__name__} has a {name} of its own'
    return why_not_coded(head.bbox_coder)


def dii_loss(
    head: DIIHead, outputs: dict, matches: Matches, sizes: Tensor, count: Tensor, pos_weight: float
) -> dict[str, Tensor]:
    """`loss_cls`, `pos_acc`, `loss_bbox` and `loss_iou`, as `DIIHead.loss_and_target`.

    Of what `_bbox_forward` returned for B images; sizes [B * P, 4] are their width, height, width, height for each
    prediction, and count [] is the mean number of pairs in a process.
    """
    scores, boxes = outputs['cls_score'].flatten(0, 1), outputs['decoded_bboxes']
    labels = matches.labels.new_full((len(boxes),), head.num_classes).index_copy(0, matches.indices, matches.labels)
    weights = boxes.new_ones(len(boxes))
    if pos_weight > 0:
        weights = weights.index_fill(0, matches.indices, pos_weight)
    losses = {
        'loss_cls': head.loss_cls(scores, labels, weights, avg_factor=count),
        'pos_acc': accuracy(scores[matches.indices], matches.labels),
    }
    if not len(matches.indices):
        return losses | dict.fromkeys(('loss_bbox', 'loss_iou'), boxes.sum() * 0)
    own, sizes = boxes[matches.indices], sizes[matches.indices]
    # all weigh one; of weights the losses would synchronise to see whether any is not zero
    losses['loss_bbox'] = head.loss_bbox(own / sizes, matches.boxes / sizes, avg_factor=count)
    losses['loss_iou'] = head.loss_iou(own, matches.boxes, avg_factor=count)
    return losses

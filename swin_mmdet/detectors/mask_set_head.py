"""What mmdet's heads of MaskFormer and Mask2Former share when they match and train all layers and images at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from mmdet.models.task_modules import MaskPseudoSampler
from mmdet.structures import SampleList
from mmdet.utils import reduce_mean
from torch import Tensor

from swin_mmdet.detectors.mask_losses import class_losses
from swin_mmdet.detectors.mask_matching import SampledMasks, mask_costs, why_not_matched
from swin_mmdet.detectors.set_losses import PredictedSets, by_name, layer_names
from swin_mmdet.detectors.set_matching import AsyncCosts, cheapest_pairs
from swin_mmdet.detectors.true_masks import AsyncTrueMasks, TrueMasks
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.to_device import to_device

if TYPE_CHECKING:
    from mmdet.models.dense_heads import MaskFormerHead as Base
else:
    Base = object


class MaskSets(NamedTuple):
    """What S layers predict for B images."""

    scores: Tensor  # [S, B, Q, classes + 1] logits
    masks: Tensor  # [S, B, Q, H, W] logits, or [S, B, Q, C], whose products with `features` they are
    features: Tensor | None = None  # [B, C, H, W]

    def detach(self) -> 'MaskSets':
        """The same without gradients."""
        return MaskSets(*(one if one is None else one.detach() for one in self))


class MaskPairs(NamedTuple):
    """Queries of S layers and the masks that they were matched with."""

    indices: Tensor  # [S, N] int64 among B * Q queries
    numbers: Tensor  # [S, N] int64 among all masks
    counts: list[int]  # pairs of each image


class BatchedMaskHead(Base):
    """Goes before mmdet's class in the bases of a head: the same losses, in one go."""

    # what `loss` does in their stead
    REPLACED = ('loss_by_feat', '_loss_by_feat_single', 'get_targets', '_get_targets_single', 'preprocess_gt')

    def _why_not_losses(self) -> str | None:
        """None when the losses that this head is given are known, else why in words."""
        raise NotImplementedError

    def _predicted(self, x: Sequence[Tensor], batch_data_samples: SampleList) -> MaskSets:
        """Before the decoder and after each of its layers."""
        raise NotImplementedError

    def _sampled(self, predicted: MaskSets, truth: TrueMasks) -> SampledMasks:
        """Predicted and true masks at the points by which they are matched, of at least one mask."""
        raise NotImplementedError

    def _mask_losses(
        self, predicted: MaskSets, pairs: MaskPairs, truth: TrueMasks, factor: Tensor
    ) -> dict[str, Tensor]:
        """`loss_mask` and `loss_dice`, each [S], divided by the `factor` []."""
        raise NotImplementedError

    def _why_not_batched(self) -> str | None:
        """None when `loss` is that of this head, else why in words."""
        for name in self.REPLACED:
            if not getattr(type(self), name).__module__.startswith('mmdet.'):
                return f'{type(self).__name__} has a {name} of its own'
        if type(self.sampler) is not MaskPseudoSampler:
            return f'the sampler is {type(self.sampler).__name__}, not MaskPseudoSampler'
        return why_not_matched(self.assigner) or self._why_not_losses()

    def loss(self, x: Sequence[Tensor], batch_data_samples: SampleList) -> dict[str, Tensor]:
        """`loss_cls`, `loss_mask`, `loss_dice`, and those of each layer but the last; arguments as in mmdet."""
        reason = self._why_not_batched()
        if reason is not None:
            log_once(f'{type(self).__name__}: training as in mmdet: {reason}')
            return super().loss(x, batch_data_samples)
        async_truth = AsyncTrueMasks(
            [sample.gt_instances for sample in batch_data_samples],
            [sample.get('gt_sem_seg') for sample in batch_data_samples],
            self.num_things_classes,
            self.num_classes,
        )
        predicted = self._predicted(x, batch_data_samples)
        scores = predicted.scores
        truth = async_truth.wait()
        pairs = self._match(predicted.detach(), truth)
        labels = pairs.indices.new_full((len(scores), scores[0, ..., 0].numel()), self.num_classes)
        if len(truth.labels):
            labels = labels.scatter(1, pairs.indices, truth.labels[pairs.numbers])
        # an image without a mask counts as one
        factor = reduce_mean(to_device([sum(max(1, count) for count in pairs.counts)], scores, torch.float32))
        losses = {'loss_cls': class_losses(self, scores.flatten(1, 2), labels)}
        losses |= self._mask_losses(predicted, pairs, truth, factor.clamp(min=1)[0])
        return by_name(PredictedSets(scores, predicted.masks, layer_names(len(scores))), losses)

    def _match(self, predicted: MaskSets, truth: TrueMasks) -> MaskPairs:
        """The cheapest pairs of each layer and image."""
        layers, _, queries = predicted.scores.shape[:3]
        counts = [min(count, queries) for count in truth.counts]
        if not sum(counts):
            nothing = truth.labels.new_zeros(layers, 0)
            return MaskPairs(nothing, nothing, counts)
        (costs,) = AsyncCosts([mask_costs(self.assigner, self._sampled(predicted, truth))]).wait()
        indices, _, _, numbers = to_device(cheapest_pairs(costs, truth.counts), truth.labels)
        return MaskPairs(indices, numbers, counts)

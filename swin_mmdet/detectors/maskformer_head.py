"""mmdet's head of MaskFormer (arXiv 2107.06278), matched and trained for all layers and images at once."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import MaskFormerHead as MMDetMaskFormerHead
from mmdet.models.losses import FocalLoss
from mmdet.models.task_modules import MaskPseudoSampler
from mmdet.structures import SampleList
from mmdet.utils import reduce_mean
from torch import Tensor

from swin_mmdet.detectors.mask_losses import class_losses, dice_loss, why_not_class_and_dice
from swin_mmdet.detectors.mask_matching import SampledMasks, mask_costs, why_not_matched
from swin_mmdet.detectors.set_losses import EPS, PredictedSets, by_name, layer_names
from swin_mmdet.detectors.set_matching import AsyncCosts, cheapest_pairs
from swin_mmdet.detectors.true_masks import AsyncTrueMasks, TrueMasks
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.to_device import to_device
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class MaskFormerHead(MMDetMaskFormerHead):
    """mmdet's `MaskFormerHead`: same parameters, arguments, losses and predictions.

    In training the host synchronises with a GPU once a step, for what it costs to match queries with masks, and before
    that for which stuff there is, if there is any. Costs and losses are float32 also under autocast. What is set
    otherwise (another assigner, sampler or loss, a method of a subclass) trains as in mmdet; the log says so.
    """

    # what `loss` does in their stead
    REPLACED = ('loss_by_feat', '_loss_by_feat_single', 'get_targets', '_get_targets_single', 'preprocess_gt')

    def _why_not_batched(self) -> str | None:
        """None when `loss` is that of this head, else why in words."""
        for name in self.REPLACED:
            if not getattr(type(self), name).__module__.startswith('mmdet.'):
                return f'{type(self).__name__} has a {name} of its own'
        if type(self.sampler) is not MaskPseudoSampler:
            return f'the sampler is {type(self.sampler).__name__}, not MaskPseudoSampler'
        loss = self.loss_mask
        if type(loss) is not FocalLoss:
            return f'loss_mask is {type(loss).__name__}'
        if loss.reduction != 'mean' or loss.activated:
            return f'loss_mask has reduction={loss.reduction}, activated={loss.activated}'
        return why_not_matched(self.assigner) or why_not_class_and_dice(self)

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
        scores, masks = self(x, batch_data_samples)
        truth = async_truth.wait()
        indices, numbers, counts = self._match(scores.detach(), masks.detach(), truth)
        labels = indices.new_full((len(scores), scores[0, ..., 0].numel()), self.num_classes)
        if len(truth.labels):
            labels = labels.scatter(1, indices, truth.labels[numbers])
        # an image without a mask counts as one
        factor = reduce_mean(to_device([sum(max(1, count) for count in counts)], masks, torch.float32))
        losses = {'loss_cls': class_losses(self, scores.flatten(1, 2), labels)}
        losses |= self._mask_losses(masks.flatten(1, 2), indices, numbers, truth, factor.clamp(min=1)[0])
        return by_name(PredictedSets(scores, masks, layer_names(len(scores))), losses)

    def _match(self, scores: Tensor, masks: Tensor, truth: TrueMasks) -> tuple[Tensor, Tensor, list[int]]:
        """Of each pair the index among B * Q queries and the number of the mask, [S, N] int64, and pairs of images.

        Logits [S, B, Q, classes + 1] and [S, B, Q, H, W].
        """
        counts = [min(count, scores.shape[2]) for count in truth.counts]
        if not sum(counts):
            nothing = truth.labels.new_zeros(len(scores), 0)
            return nothing, nothing, counts
        size = truth.packed.height, truth.packed.width
        numbers, labels = truth.padded()
        # of a mask that is made smaller each pixel is the nearest one's, as of a map by `F.interpolate`
        small = _sample(truth, numbers.flatten(), _centers(size, tuple(masks.shape[-2:]), masks.device))
        sampled = SampledMasks(scores.float(), masks.flatten(3).float(), labels, small.view(1, *numbers.shape, -1))
        (costs,) = AsyncCosts([mask_costs(self.assigner, sampled)]).wait()
        indices, _, _, numbers = to_device(cheapest_pairs(costs, truth.counts), truth.labels)
        return indices, numbers, counts

    def _mask_losses(
        self, masks: Tensor, indices: Tensor, numbers: Tensor, truth: TrueMasks, factor: Tensor
    ) -> dict[str, Tensor]:
        """`loss_mask` and `loss_dice`, each [S]: of masks [S, B * Q, H, W] those at `indices` [S, N]."""
        if not numbers.numel():
            # of nothing, but with a gradient
            return dict.fromkeys(('loss_mask', 'loss_dice'), masks[:, :0].float().sum((1, 2, 3)))
        size = truth.packed.height, truth.packed.width
        whole = _sample(truth, torch.arange(len(truth.labels), device=masks.device), _centers(size, size, masks.device))
        found: dict[str, list[Tensor]] = {'loss_mask': [], 'loss_dice': []}
        # masks are whole here: of one layer at a time
        for layer, own, number in zip(masks, indices, numbers, strict=True):
            large = F.interpolate(layer[own][:, None].float(), size, mode='bilinear', align_corners=False)
            logits, target = large.flatten(1), whole[number]
            found['loss_mask'].append(self._focal(logits, target) / (factor * logits.shape[1] + EPS))
            found['loss_dice'].append(dice_loss(self.loss_dice, logits, target).sum() / (factor + EPS))
        return {name: getattr(self, name).loss_weight * torch.stack(each) for name, each in found.items()}

    def _focal(self, logits: Tensor, target: Tensor) -> Tensor:
        """The sum over masks and pixels [N, P]."""
        loss = self.loss_mask
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
        p = logits.sigmoid()
        miss = p + target - 2 * p * target
        share = loss.alpha * target + (1 - loss.alpha) * (1 - target)
        return (share * miss.pow(loss.gamma) * entropy).sum()


def _centers(size: tuple[int, int], smaller: tuple[int, int], device: torch.device) -> Tensor:
    """Of a map of `smaller` size the centers of the nearest pixels of one of `size`, in shares of it: [1, P, 2]."""
    y, x = (
        ((torch.arange(few, device=device) * (many / few)).floor() + 0.5) / many
        for many, few in zip(size, smaller, strict=True)
    )
    grid = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], -1)
    return grid.flatten(0, 1)[None]


def _sample(truth: TrueMasks, numbers: Tensor, centers: Tensor) -> Tensor:
    """Of masks `numbers` [M], -1 for none, the pixels at centers [1, P, 2]: [M, P] of 0 and 1."""
    return truth.sample(numbers, centers, torch.zeros_like(numbers)).round()

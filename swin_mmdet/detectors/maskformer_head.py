"""mmdet's head of MaskFormer (arXiv 2107.06278), matched and trained for all layers and images at once."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import MaskFormerHead as MMDetMaskFormerHead
from mmdet.models.losses import FocalLoss
from mmdet.structures import SampleList
from torch import Tensor

from swin_mmdet.detectors.mask_losses import dice_loss, why_not_class_and_dice
from swin_mmdet.detectors.mask_matching import SampledMasks
from swin_mmdet.detectors.mask_set_head import BatchedMaskHead, MaskPairs, MaskSets
from swin_mmdet.detectors.set_losses import EPS
from swin_mmdet.detectors.true_masks import TrueMasks
from swin_mmdet.ops.focal_loss import focal_loss_of_targets
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class MaskFormerHead(BatchedMaskHead, MMDetMaskFormerHead):
    """mmdet's `MaskFormerHead`: same parameters, arguments, losses and predictions.

    In training the host synchronises with a GPU once a step, for what it costs to match queries with masks, and before
    that for which stuff there is, if there is any. Costs and losses are float32 also under autocast. What is set
    otherwise (another assigner, sampler or loss, a method of a subclass) trains as in mmdet; the log says so.
    """

    def _why_not_losses(self) -> str | None:
        loss = self.loss_mask
        if type(loss) is not FocalLoss:
            return f'loss_mask is {type(loss).__name__}'
        if loss.reduction != 'mean' or loss.activated:
            return f'loss_mask has reduction={loss.reduction}, activated={loss.activated}'
        return why_not_class_and_dice(self)

    def _predicted(self, x: Sequence[Tensor], batch_data_samples: SampleList) -> MaskSets:
        return MaskSets(*self(x, batch_data_samples))

    def _sampled(self, predicted: MaskSets, truth: TrueMasks) -> SampledMasks:
        masks = predicted.masks
        size = truth.packed.height, truth.packed.width
        numbers, labels = truth.padded()
        # of a mask that is made smaller each pixel is the nearest one's, as of a map by `F.interpolate`
        small = _sample(truth, numbers.flatten(), _centers(size, tuple(masks.shape[-2:]), masks.device))
        small = small.view(1, *numbers.shape, -1)
        return SampledMasks(predicted.scores.float(), masks.flatten(3).float(), labels, small)

    def _mask_losses(
        self, predicted: MaskSets, pairs: MaskPairs, truth: TrueMasks, factor: Tensor
    ) -> dict[str, Tensor]:
        masks = predicted.masks.flatten(1, 2)
        if not pairs.numbers.numel():
            # of nothing, but with a gradient
            return dict.fromkeys(('loss_mask', 'loss_dice'), masks[:, :0].float().sum((1, 2, 3)))
        size = truth.packed.height, truth.packed.width
        whole = _sample(truth, torch.arange(len(truth.labels), device=masks.device), _centers(size, size, masks.device))
        found: dict[str, list[Tensor]] = {'loss_mask': [], 'loss_dice': []}
        # masks are whole here: of one layer at a time
        for layer, own, number in zip(masks, pairs.indices, pairs.numbers, strict=True):
            large = F.interpolate(layer[own][:, None].float(), size, mode='bilinear', align_corners=False)
            logits, target = large.flatten(1), whole[number]
            focal = focal_loss_of_targets(logits, target, self.loss_mask.gamma, self.loss_mask.alpha).sum()
            found['loss_mask'].append(focal / (factor * logits.shape[1] + EPS))
            found['loss_dice'].append(dice_loss(self.loss_dice, logits, target).sum() / (factor + EPS))
        return {name: getattr(self, name).loss_weight * torch.stack(each) for name, each in found.items()}


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

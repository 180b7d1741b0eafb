"""mmdet's head of Mask2Former (arXiv 2112.01527) for all layers and images at once."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import Mask2FormerHead as MMDetMask2FormerHead
from mmdet.structures import SampleList
from torch import Tensor

from swin_mmdet.detectors.maps import sizes_of
from swin_mmdet.detectors.mask_losses import (
    PointSettings,
    at_points,
    mask_losses,
    uncertain_points,
    why_not_losses,
)
from swin_mmdet.detectors.mask_matching import SampledMasks
from swin_mmdet.detectors.mask_set_head import BatchedMaskHead, MaskPairs, MaskSets
from swin_mmdet.detectors.masked_attention import Mask2FormerTransformerDecoder, looks_within
from swin_mmdet.detectors.pixel_decoder import level_positions
from swin_mmdet.detectors.true_masks import TrueMasks
from swin_mmdet.ops.autocast import compute_dtype
from swin_mmdet.ops.mask_points import sample_features
from swin_mmdet.ops.pyramid import Pyramid
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class Mask2FormerHead(BatchedMaskHead, MMDetMask2FormerHead):
    """mmdet's `Mask2FormerHead`: same parameters, arguments, losses and predictions.

    In training the host synchronises with a GPU once a step, for what it costs to match queries with masks, and before
    that for which stuff there is, if there is any. No mask is made but those of matched queries, true ones are never
    whole. Costs and losses are float32 also under autocast. What is set otherwise (another assigner, sampler or loss, a
    method of a subclass) trains as in mmdet; the log says so.
    """

    def __init__(self, *args, transformer_decoder: dict, **kwargs) -> None:
        super().__init__(*args, transformer_decoder=transformer_decoder, **kwargs)
        self.transformer_decoder = Mask2FormerTransformerDecoder(**transformer_decoder)

    def forward(self, x: Sequence[Tensor], batch_data_samples: SampleList) -> tuple[list[Tensor], list[Tensor]]:
        """Logits of classes [B, Q, classes + 1] and of masks [B, Q, H, W], before the decoder and after each layer."""
        del batch_data_samples
        queries, features = self._decode(x)
        return list(self.cls_embed(queries)), [_masks(own, features) for own in self.mask_embed(queries)]

    def _decode(self, x: Sequence[Tensor], only_last: bool = False) -> tuple[Tensor, Tensor]:
        """Queries [S, B, Q, C] before the decoder and after each layer, or only the last, and a map [B, C, H, W].

        A mask is the product of what `mask_embed` makes of its query, and of the map.
        """
        features, maps = self.pixel_decoder(x)
        levels = self.num_transformer_feat_level
        sizes = sizes_of(maps[:levels])
        dtype = compute_dtype(features)
        pyramid = Pyramid(sizes, (sizes,) * len(features))
        keys, values = [], []
        for level, position in enumerate(level_positions(pyramid, self.decoder_positional_encoding, features.device)):
            pixels = self.decoder_input_projs[level](maps[level]).flatten(2).mT + self.level_embed.weight[level]
            keys.append((pixels + position).to(dtype))
            values.append(pixels.to(dtype))
        # a smaller mask is the product with a smaller map
        smaller = [F.interpolate(features.detach(), size, mode='bilinear').flatten(2) for size in sizes]
        query = self.query_feat.weight.expand(len(features), -1, -1)
        position = self.query_embed.weight[None]
        states = [query]
        for number, layer in enumerate(self.transformer_decoder.layers):
            level = number % levels
            # with a graph that nobody follows: what autocast keeps of weights is to have one
            own = self.mask_embed(self.transformer_decoder.post_norm(query)).detach()
            query = layer(query, keys[level], values[level], position, looks_within(own @ smaller[level], dtype))
            states.append(query)
        return self.transformer_decoder.post_norm(torch.stack(states[-1:] if only_last else states)), features

    def _why_not_losses(self) -> str | None:
        if type(self).forward is not Mask2FormerHead.forward:
            return f'{type(self).__name__} has a forward of its own'
        return why_not_losses(self)

    def _predicted(self, x: Sequence[Tensor], batch_data_samples: SampleList) -> MaskSets:
        del batch_data_samples
        queries, features = self._decode(x)
        return MaskSets(self.cls_embed(queries), self.mask_embed(queries), features)

    def _sampled(self, predicted: MaskSets, truth: TrueMasks) -> SampledMasks:
        scores, embeds, features = predicted
        assert features is not None
        layers, batch = scores.shape[:2]
        points = torch.rand(layers, batch, self.num_points, 2, device=features.device)
        logits = (embeds @ sample_features(features, points).mT).float()
        numbers, labels = truth.padded()
        rows = torch.arange(layers * batch, device=points.device)[:, None].expand(-1, numbers.shape[1])
        masks = truth.sample(numbers.expand(layers, -1, -1).flatten(), points.flatten(0, 1), rows.flatten())
        return SampledMasks(scores, logits, labels, masks.view(layers, *numbers.shape, -1))

    def _mask_losses(
        self, predicted: MaskSets, pairs: MaskPairs, truth: TrueMasks, factor: Tensor
    ) -> dict[str, Tensor]:
        _, embeds, features = predicted
        assert features is not None
        own = embeds.flatten(1, 2).gather(1, pairs.indices[..., None].expand(-1, -1, embeds.shape[-1]))
        masks = [queries @ one.flatten(1) for queries, one in zip(own.split(pairs.counts, 1), features, strict=True)]
        masks = torch.cat(masks, 1)
        if not masks.numel():
            # of nothing, but with a gradient
            return dict.fromkeys(('loss_mask', 'loss_dice'), masks.float().sum((1, 2)))
        masks = masks.float().flatten(0, 1).unflatten(1, features.shape[2:])
        settings = PointSettings(*(getattr(self, name) for name in PointSettings._fields))
        points = uncertain_points(masks, settings)
        target = truth.sample(pairs.numbers.flatten(), points)
        logits, target = (one.unflatten(0, pairs.numbers.shape) for one in (at_points(masks, points), target))
        return mask_losses(self, logits, target, factor)

    def predict_small(self, x: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits of classes [B, Q, classes + 1] and masks [B, Q, H, W], of the size of the largest map."""
        queries, features = self._decode(x, only_last=True)
        return self.cls_embed(queries[0]), _masks(self.mask_embed(queries[0]), features)

    def predict(self, x: Sequence[Tensor], batch_data_samples: SampleList) -> tuple[Tensor, Tensor]:
        """The same with masks as large as the padded image, as in mmdet."""
        scores, masks = self.predict_small(x)
        size = tuple(batch_data_samples[0].metainfo['batch_input_shape'])
        return scores, F.interpolate(masks, size, mode='bilinear', align_corners=False)


def _masks(own: Tensor, features: Tensor) -> Tensor:
    """[B, Q, C], [B, C, H, W] -> [B, Q, H, W]."""
    return (own @ features.flatten(2)).unflatten(2, features.shape[2:])

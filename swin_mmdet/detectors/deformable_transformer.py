"""mmdet's transformers of Deformable DETR (arXiv 2010.04159) and DINO (2203.03605), without synchronising with the GPU.

Reference points are float32 also under autocast. The layers are told by `pyramid` which maps there are.
"""

from typing import Any

import torch
from mmdet.models.layers import MLP
from mmdet.models.layers import DeformableDetrTransformerDecoder as MMDetDeformableDetrTransformerDecoder
from mmdet.models.layers import DeformableDetrTransformerDecoderLayer as MMDetDeformableDetrTransformerDecoderLayer
from mmdet.models.layers import DeformableDetrTransformerEncoder as MMDetDeformableDetrTransformerEncoder
from mmdet.models.layers import DeformableDetrTransformerEncoderLayer as MMDetDeformableDetrTransformerEncoderLayer
from mmdet.models.layers import DinoTransformerDecoder as MMDetDinoTransformerDecoder
from mmengine.model import ModuleList
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from swin_mmdet.detectors.box_branches import box_change
from swin_mmdet.detectors.deformable_attention import MultiScaleDeformableAttention
from swin_mmdet.detectors.multihead_attention import MultiheadAttention, additive_mask
from swin_mmdet.ops.coordinates import inverse_sigmoid, sine_encoding, with_sizes
from swin_mmdet.ops.pyramid import Pyramid, filled_shares, reference_points
from swin_mmdet.ops.tracing import is_traced

# hidden features of pixels that are made at once where nobody keeps them for a gradient: as fast as all, in less memory
HIDDEN_AT_ONCE = 3 * 2**24
# a share of the image from which on DINO tells a coordinate from 0 and 1
NEAREST = 1e-3


class DeformableDetrTransformerEncoderLayer(MMDetDeformableDetrTransformerEncoderLayer):
    """mmdet's, of the same parameters."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.self_attn = MultiScaleDeformableAttention(**self.self_attn_cfg)

    def forward(self, query: Tensor, query_pos: Tensor, key_padding_mask: Tensor | None, **kwargs) -> Tensor:
        """Pixels [B, N, C] -> [B, N, C]; arguments as in mmdet, and those of the attention."""
        query = self.self_attn(
            query=query, key=query, value=query, query_pos=query_pos, key_pos=query_pos,
            key_padding_mask=key_padding_mask, **kwargs,
        )  # fmt: skip
        return self.norms[1](self._feed_forward(self.norms[0](query)))

    def _feed_forward(self, query: Tensor) -> Tensor:
        pixels = HIDDEN_AT_ONCE // self.ffn.feedforward_channels
        if torch.is_grad_enabled() or is_traced() or len(query) * query.shape[1] <= pixels:
            return self.ffn(query)
        return torch.cat([self.ffn(part) for part in query.flatten(0, 1).split(pixels)]).view_as(query)


def run_layer(recomputes: bool, layer: nn.Module, *arguments: Any, **options: Any) -> Any:
    """What a layer returns; if it `recomputes`, without keeping its activations for the gradient."""
    if recomputes and torch.is_grad_enabled():
        return checkpoint(layer, *arguments, use_reentrant=False, **options)
    return layer(*arguments, **options)


class DeformableDetrTransformerEncoder(MMDetDeformableDetrTransformerEncoder):
    """mmdet's, of the same parameters and arguments; the activations of `num_cp` layers are recomputed by PyTorch."""

    def _init_layers(self) -> None:
        layers = [DeformableDetrTransformerEncoderLayer(**self.layer_cfg) for _ in range(self.num_layers)]
        self.layers = ModuleList(layers)
        self.embed_dims = layers[0].embed_dims

    def forward(
        self, query: Tensor, query_pos: Tensor, key_padding_mask: Tensor | None, pyramid: Pyramid, **kwargs
    ) -> Tensor:
        """Places of the pyramid [B, N, C], of which the mask [B, N] names those that nobody looks at -> [B, N, C]."""
        options = kwargs | {'pyramid': pyramid, 'reference_points': reference_points(pyramid, query.device)}
        for number, layer in enumerate(self.layers):
            query = run_layer(number < self.num_cp, layer, query, query_pos, key_padding_mask, **options)
        return query


class DeformableDetrTransformerDecoderLayer(MMDetDeformableDetrTransformerDecoderLayer):
    """mmdet's, of the same parameters."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.self_attn = MultiheadAttention(**self.self_attn_cfg)
        self.cross_attn = MultiScaleDeformableAttention(**self.cross_attn_cfg)


class DeformableDetrTransformerDecoder(MMDetDeformableDetrTransformerDecoder):
    """mmdet's, of the same parameters and arguments."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.layers = ModuleList(
            [DeformableDetrTransformerDecoderLayer(**self.layer_cfg) for _ in range(self.num_layers)]
        )

    def forward(
        self,
        query: Tensor,
        query_pos: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None,
        reference_points: Tensor,
        pyramid: Pyramid,
        reg_branches: nn.ModuleList | None = None,
        **kwargs,
    ) -> tuple[Tensor, Tensor]:
        """States [S, B, Q, C] and references [S, B, Q, 2 or 4] after S layers, which is one without intermediate ones.

        Queries [B, Q, C], pixels of the pyramid [B, N, C], and references as of the result.
        """
        states, references = [], []
        for number, layer in enumerate(self.layers):
            query = layer(
                query, query_pos=query_pos, value=value, key_padding_mask=key_padding_mask, pyramid=pyramid,
                reference_points=in_all_levels(reference_points, pyramid), **kwargs,
            )  # fmt: skip
            if reg_branches is not None:
                reference_points = moved(reference_points, box_change(reg_branches[number], query)).detach()
            states.append(query)
            references.append(reference_points)
        if self.return_intermediate:
            return torch.stack(states), torch.stack(references)
        return query, reference_points


class DinoTransformerDecoder(DeformableDetrTransformerDecoder, MMDetDinoTransformerDecoder):
    """mmdet's, of the same parameters and arguments; onedl's has others, into which no published weights fit."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.ref_point_head = MLP(2 * self.embed_dims, self.embed_dims, self.embed_dims, 2)

    def forward(  # type: ignore[override]  # as mmdet's decoders differ
        self,
        query: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None,
        self_attn_mask: Tensor | None,
        reference_points: Tensor,
        pyramid: Pyramid,
        reg_branches: nn.ModuleList,
        **kwargs,
    ) -> tuple[Tensor, Tensor]:
        """States [S, B, Q, C] of S layers, references [S + 1, B, Q, 4] before, between and after them.

        Queries [B, Q, C], pixels of the pyramid [B, N, C], references [B, Q, 4]; the mask [Q, Q] bool says which other
        queries a query does not look at. Without intermediate layers, states and references of the last one.
        """
        if self_attn_mask is not None:
            # once for all layers
            device = query.device.type
            low = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype
            self_attn_mask = additive_mask(self_attn_mask, low)
        states, references = [], [reference_points]
        for number, layer in enumerate(self.layers):
            own = in_all_levels(reference_points, pyramid)
            query_pos = self.ref_point_head(sine_encoding(own[:, :, 0], self.embed_dims // 2))
            query = layer(
                query, query_pos=query_pos, value=value, key_padding_mask=key_padding_mask,
                self_attn_mask=self_attn_mask, reference_points=own, pyramid=pyramid, **kwargs,
            )  # fmt: skip
            # the loss of a layer reaches the layer before it
            refined = moved(reference_points, box_change(reg_branches[number], query), NEAREST)
            reference_points = refined.detach()
            if self.return_intermediate:
                states.append(self.norm(query))
                references.append(refined)
        if self.return_intermediate:
            return torch.stack(states), torch.stack(references)
        return query, reference_points


def in_all_levels(references: Tensor, pyramid: Pyramid) -> Tensor:
    """In shares of the image [B, Q, 2 or 4] -> of each level's map [B, Q, L, 2 or 4]."""
    shares = filled_shares(pyramid, references.device)[:, None, :, None]
    return (references.unflatten(-1, (-1, 2))[:, :, None] * shares).flatten(-2)


def moved(references: Tensor, changes: Tensor, nearest: float = 1e-5) -> Tensor:
    """References [B, Q, 2 or 4] moved by changes [B, Q, 4] before the sigmoid: boxes [B, Q, 4]."""
    return (inverse_sigmoid(with_sizes(references), nearest) + changes).sigmoid()

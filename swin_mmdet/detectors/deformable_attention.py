"""mmcv's multi-scale deformable attention, that is told the sizes of maps by the host and samples in float32."""

import torch
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttention as MMCVMultiScaleDeformableAttention,
)
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from torch import Tensor

from swin_mmdet.ops.pyramid import Pyramid, level_shapes


class MultiScaleDeformableAttention(MMCVMultiScaleDeformableAttention):
    """mmcv's class: same parameters, arguments and results, without a question to the GPU.

    Where points are sampled is float32 also under autocast.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        reference_points: Tensor | None = None,
        pyramid: Pyramid | None = None,
        **kwargs,
    ) -> Tensor:
        """[B, Q, C]; arguments as in mmcv, and the pyramid whose places are the values."""
        if pyramid is None or not self.batch_first:
            return super().forward(
                query, key, value, identity, query_pos, key_padding_mask, reference_points, **kwargs
            )
        value = self.value_proj(query if value is None else value)
        if key_padding_mask is not None:
            value = value.masked_fill(key_padding_mask[..., None], 0.0)
        identity = query if identity is None else identity
        query = query if query_pos is None else query + query_pos
        points = self.num_heads, self.num_levels, self.num_points
        offsets = self.sampling_offsets(query).unflatten(-1, (*points, 2))
        weights = self.attention_weights(query).unflatten(-1, (self.num_heads, -1)).softmax(-1)
        weights = weights.unflatten(-1, points[1:])
        shapes, starts = level_shapes(pyramid.sizes, value.device)
        locations = sampling_locations(reference_points, offsets, shapes)
        value = value.unflatten(-1, (self.num_heads, -1)).to(locations.dtype)
        weights = weights.to(locations.dtype)
        if value.is_cuda:
            found = MultiScaleDeformableAttnFunction.apply(
                value, shapes, starts, locations, weights, self.im2col_step
            )
        else:
            found = multi_scale_deformable_attn_pytorch(value, pyramid.sizes, locations, weights)
        return self.dropout(self.output_proj(found)) + identity


def sampling_locations(references: Tensor, offsets: Tensor, shapes: Tensor) -> Tensor:
    """Where queries sample the maps, (x, y) in shares of them: [B, Q, heads, L, points, 2] float32, or float64.

    References [B, Q, L, 2] are points, and offsets [B, Q, heads, L, points, 2] then pixels of the level of `shapes`
    [L, 2]; or references [B, Q, L, 4] are centers and sizes, and offsets shares of half a size over all points.
    """
    offsets = offsets.to(torch.promote_types(offsets.dtype, torch.float32))
    references = references[:, :, None, :, None]
    if references.shape[-1] == 2:
        return references + offsets / shapes.flip(-1)[:, None]
    return references[..., :2] + offsets / offsets.shape[-2] * references[..., 2:] * 0.5

"""mmcv's multi-scale deformable attention in few kernels, told the sizes of maps by the host."""

from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttention as MMCVMultiScaleDeformableAttention
from torch import Tensor

from swin_mmdet.ops.autocast import compute_dtype
from swin_mmdet.ops.deformable_attention import deformable_attention
from swin_mmdet.ops.deformable_attention.exported import exported_attention
from swin_mmdet.ops.pyramid import Pyramid, level_shapes
from swin_mmdet.ops.tracing import is_exported


class MultiScaleDeformableAttention(MMCVMultiScaleDeformableAttention):
    """mmcv's class: same parameters, arguments and results, without synchronising with the GPU.

    Softmax, arithmetic of locations and sampling are one operation. Where points are sampled is float32 also under
    autocast, which mmcv rounds to the type of the values.
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
        """[B, Q, C]; arguments as in mmcv, and the pyramid whose pixels are the values."""
        if pyramid is None or not self.batch_first:
            return super().forward(
                query, key, value, identity, query_pos, key_padding_mask, reference_points, **kwargs
            )
        value = self.value_proj(query if value is None else value)
        if key_padding_mask is not None:
            value = value.masked_fill(key_padding_mask[..., None], 0.0)
        identity = query if identity is None else identity
        query = query if query_pos is None else query + query_pos
        # once for two layers, which keep it for the gradient
        query = query.to(compute_dtype(query))
        value = value.unflatten(-1, (self.num_heads, -1))
        offsets = self.sampling_offsets(query).unflatten(-1, (self.num_heads, self.num_levels, self.num_points, 2))
        weights = self.attention_weights(query).unflatten(-1, (self.num_heads, -1))
        if is_exported():
            attended = exported_attention(value, pyramid.sizes, reference_points, offsets, weights)
        else:
            shapes, starts = level_shapes(pyramid.sizes, value.device)
            attended = deformable_attention(value, shapes, starts, reference_points, offsets, weights)
        return self.dropout(self.output_proj(attended)) + identity

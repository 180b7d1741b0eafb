"""mmdet's decoder of Mask2Former (arXiv 2112.01527), through PyTorch's fused attention."""

import torch
import torch.nn.functional as F
from mmdet.models.layers import Mask2FormerTransformerDecoder as MMDetDecoder
from mmdet.models.layers import Mask2FormerTransformerDecoderLayer as MMDetDecoderLayer
from mmengine.model import ModuleList
from torch import Tensor, nn

from swin_mmdet.detectors.multihead_attention import MultiheadAttention, additive_mask, is_plain
from swin_mmdet.ops.autocast import compute_dtype


class MaskedAttention(MultiheadAttention):
    """mmcv's `MultiheadAttention` of queries to keys that have their positions already; same parameters."""

    def forward(  # type: ignore[override]  # nobody but the layer below calls it
        self, query: Tensor, key: Tensor, value: Tensor, query_pos: Tensor, attn_mask: Tensor
    ) -> Tensor:
        """Queries [B, Q, C], keys and values [B, K, C], a mask [B, 1, Q, K] to be added: [B, Q, C]."""
        if not self.batch_first or not is_plain(self.attn):
            heads = attn_mask.expand(-1, self.num_heads, -1, -1).flatten(0, 1)
            nowhere = key.new_zeros(())
            return super().forward(query, key, value, None, query_pos, nowhere, heads)
        attended = cross_attention(self.attn, query + query_pos, key, value, attn_mask)
        return query + self.dropout_layer(self.proj_drop(attended))


class Mask2FormerTransformerDecoderLayer(MMDetDecoderLayer):
    """mmdet's, of the same parameters."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.self_attn = MultiheadAttention(**self.self_attn_cfg)
        self.cross_attn = MaskedAttention(**self.cross_attn_cfg)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, query_pos: Tensor, attn_mask: Tensor) -> Tensor:
        """Queries [B, Q, C]; arguments as of `MaskedAttention`."""
        query = self.norms[0](self.cross_attn(query, key, value, query_pos, attn_mask))
        query = self.self_attn(query, key=query, value=query, query_pos=query_pos, key_pos=query_pos)
        return self.norms[2](self.ffn(self.norms[1](query)))


class Mask2FormerTransformerDecoder(MMDetDecoder):
    """mmdet's, of the same parameters and arguments."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.layers = ModuleList(
            [Mask2FormerTransformerDecoderLayer(**self.layer_cfg) for _ in range(self.num_layers)]
        )


def cross_attention(attn: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Queries [B, Q, C], keys and values [B, K, C], a mask [B, 1 or heads, Q, K] to be added: [B, Q, C]."""
    dtype = compute_dtype(query)
    # in one piece: of parts of a parameter autocast keeps no copy
    weights, biases = (parameter.to(dtype).chunk(3) for parameter in (attn.in_proj_weight, attn.in_proj_bias))
    q, k, v = (
        F.linear(x, weight, bias).unflatten(-1, (attn.num_heads, -1)).transpose(1, 2)
        for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
    )
    attended = F.scaled_dot_product_attention(q, k, v, mask, attn.dropout if attn.training else 0.0)
    return attn.out_proj(attended.transpose(1, 2).flatten(2))


def looks_within(logits: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask to be added, [B, 1, Q, K]: queries look where their masks [B, Q, K] are likely, or at all if nowhere.

    Likely is a logit of 0 and more. (mmdet's sigmoid is rounded to 0.5 for some below, in half precision to -0.004.)
    """
    masked = (logits < 0) & (logits.amax(-1, keepdim=True) >= 0)
    return additive_mask(masked, dtype)[:, None]

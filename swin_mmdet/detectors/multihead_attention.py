"""mmcv's attention of a decoder's queries, through PyTorch's fused attention."""

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks.transformer import MultiheadAttention as MMCVMultiheadAttention
from torch import Tensor, nn

from swin_mmdet.models.plain import is_untouched

# elements: what a fused attention wants a row of its mask to begin at
ALIGNED = 16


class MultiheadAttention(MMCVMultiheadAttention):
    """mmcv's class: same parameters, arguments and results.

    mmcv lets PyTorch make the weights of attention as well, for nobody: an attention that is fused has none.
    """

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        identity: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_pos: Tensor | None = None,
        attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        **kwargs,
    ) -> Tensor:
        """[B, Q, C]; arguments as in mmcv. Where queries look at themselves and there is no padding it is fused."""
        is_own = (key is None or key is query) and (value is None or value is query)
        is_own = is_own and (key_pos is None or key_pos is query_pos)
        if not is_own or key_padding_mask is not None or not self.batch_first or not is_plain(self.attn):
            return super().forward(
                query, key, value, identity, query_pos, key_pos, attn_mask, key_padding_mask, **kwargs
            )
        identity = query if identity is None else identity
        attended = self_attention(self.attn, query, query_pos, attn_mask)
        return identity + self.dropout_layer(self.proj_drop(attended))


def is_plain(attn: nn.MultiheadAttention) -> bool:
    """Whether `self_attention` knows all that the module does, and nobody watches it or has changed it."""
    return (
        type(attn) is nn.MultiheadAttention
        and is_untouched(attn)
        and attn._qkv_same_embed_dim
        and attn.in_proj_bias is not None
        and attn.bias_k is None
        and not attn.add_zero_attn
    )


def self_attention(attn: nn.MultiheadAttention, x: Tensor, position: Tensor | None, mask: Tensor | None) -> Tensor:
    """Of x [B, Q, C], to which `position` [B, Q, C] is added for queries and keys, not for values: [B, Q, C].

    mask: as of `nn.MultiheadAttention`, [Q, Q] or [B * heads, Q, Q], bool (True is not looked at) or to be added.
    """
    batch, length, channels = x.shape
    # split, of which the gradients are joined by one kernel
    weights, biases = (one.split((2 * channels, channels)) for one in (attn.in_proj_weight, attn.in_proj_bias))
    both = F.linear(x if position is None else x + position, weights[0], biases[0])
    value = F.linear(x, weights[1], biases[1])
    parts = (*both.chunk(2, -1), value)
    q, k, v = (part.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for part in parts)
    if mask is not None and mask.dim() == 3:
        mask = mask.unflatten(0, (batch, attn.num_heads))
    if mask is not None and mask.dtype == torch.bool:
        mask = additive_mask(mask, value.dtype)
    attended = F.scaled_dot_product_attention(q, k, v, mask, attn.dropout if attn.training else 0.0)
    return attn.out_proj(attended.transpose(1, 2).reshape(batch, length, channels))


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A bool mask [..., Q, K], True is not looked at, as what is added to products of queries and keys."""
    length = mask.shape[-1]
    room = mask.new_zeros(*mask.shape[:-1], (length + ALIGNED - 1) // ALIGNED * ALIGNED, dtype=dtype)[..., :length]
    return room.masked_fill_(mask, float('-inf'))

"""The public op. Its border is the feature map, so that one kernel can absorb padding, roll, partition and mask."""

from torch import Tensor

from swin_mmdet.ops.shifted_window_attention.backends import resolve_backend


def shifted_window_attention(
    qkv: Tensor,
    bias_table: Tensor,
    *,
    window_size: int,
    shift_size: int = 0,
    scale: float | None = None,
    cosine_scale: Tensor | None = None,
    pad_value: Tensor | None = None,
    dropout_p: float = 0.0,
    backend: str = 'auto',
) -> Tensor:
    """Multi-head self-attention in the (shifted) windows of a feature map.

    Papers: arXiv 2103.14030, equations 3 and 4; arXiv 2111.09883, section 3.2, for cosine attention.

    Args:
        qkv: [B, H, W, 3C], the queries, keys and values of every token, each C = h*d channels, heads outermost.
        bias_table: [(2*window_size-1)**2, h], a row for each offset (dy, dx) of a query from a key, dy first, added to
            the logits of every pair with that offset.
        window_size: tokens on a window's side. H and W need not be multiples of it.
        shift_size: the cyclic shift, 0 <= shift_size < window_size; tokens that meet only by wrapping round the map
            do not see each other.
        scale: of the logits; d**-0.5 by default.
        cosine_scale: [h], in place of `scale`: the logits are these times the cosines of queries and keys.
        pad_value: [3C], the qkv of a padding token. The official model pads the normalised tokens with zeros before
            the qkv layer, so this is the layer's bias; zeros without it. Padding tokens take part in the softmax.
        dropout_p: probability to drop an attention weight; 0 in evaluation.
        backend: 'auto' | 'triton' | 'tiled' | 'sdpa' | 'reference'.

    Returns:
        [B, H, W, C], contiguous.

    Raises:
        ValueError: a shape, size or backend that does not fit, by name and value.
    """
    if qkv.dim() != 4:
        raise ValueError(f'qkv must be [B, H, W, 3C], got shape {tuple(qkv.shape)}')
    if not qkv.is_floating_point():
        raise ValueError(f'qkv must be a floating-point tensor, got {qkv.dtype}')
    if window_size < 1 or not 0 <= shift_size < window_size:
        raise ValueError(
            f'need window_size >= 1 and 0 <= shift_size < window_size, got window_size={window_size}, '
            f'shift_size={shift_size}'
        )
    offsets = (2 * window_size - 1) ** 2
    if bias_table.dim() != 2 or bias_table.shape[0] != offsets:
        raise ValueError(
            f'bias_table must be [{offsets}, h] for window_size={window_size}, got shape {tuple(bias_table.shape)}'
        )
    num_heads, channels = bias_table.shape[1], qkv.shape[-1]
    if channels % (3 * num_heads):
        raise ValueError(f'qkv has {channels} channels, not divisible by 3 * {num_heads} heads of bias_table')
    if pad_value is not None and pad_value.shape != (channels,):
        raise ValueError(f'pad_value must be [{channels}], got shape {tuple(pad_value.shape)}')
    if cosine_scale is not None:
        if scale is not None:
            raise ValueError(f'cosine_scale takes the place of scale, got scale={scale} as well')
        if cosine_scale.shape != (num_heads,):
            raise ValueError(f'cosine_scale must be [{num_heads}], got shape {tuple(cosine_scale.shape)}')
        scale = 1.0
    if scale is None:
        scale = (channels // (3 * num_heads)) ** -0.5
    run = resolve_backend(backend, qkv, bias_table, window_size, dropout_p).run
    return run(qkv, bias_table, pad_value, cosine_scale, window_size, shift_size, scale, dropout_p)

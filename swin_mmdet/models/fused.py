"""The model's parts through fused operations: each half of a block is one node of autograd, its norm and residual sum
one kernel. Only speed and memory differ from the modules' own forward, which runs wherever this cannot.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from swin_mmdet.models.block import Mlp, SwinBlock, SwinBlockV2
from swin_mmdet.models.fused_blocks import FUSED_BLOCKS, Scales, norm_numbers
from swin_mmdet.models.patch_embed import PatchEmbed
from swin_mmdet.models.patch_merging import PatchMerging
from swin_mmdet.models.plain import Part, layer_norm, why_not_plain, why_not_plain_anywhere
from swin_mmdet.models.window_attention import WindowAttention
from swin_mmdet.models.window_attention_v2 import WindowAttentionV2
from swin_mmdet.ops.residual_branch import in_dtype, merging, output_norm, patch_norm
from swin_mmdet.ops.shifted_window_attention import why_not_attention
from swin_mmdet.ops.stochastic_depth import scale_branch
from swin_mmdet.ops.tracing import is_traced
from swin_mmdet.ops.triton_available import why_not_kernels

_OUTPUT_NORM = layer_norm('the norm of its map')
_PATCHES = Part(
    'patch_embed',
    PatchEmbed,
    children=(
        Part(
            'proj',
            nn.Conv2d,
            ('weight', 'bias'),
            settings=(('padding', (0, 0)), ('dilation', (1, 1)), ('groups', 1)),
        ),
        layer_norm('norm'),
    ),
)
# the classes of all that is passed by
FUSED: frozenset[type[nn.Module]] = frozenset(
    {nn.Linear, nn.LayerNorm, nn.GELU, nn.Dropout, nn.Conv2d}
    | {SwinBlock, SwinBlockV2, WindowAttention, WindowAttentionV2, Mlp, PatchMerging, PatchEmbed}
)
_FORWARDS = tuple((cls, cls.forward) for cls in FUSED)


def why_not_fused_stage(stage: nn.Module, x: Tensor, norm: nn.LayerNorm | None) -> str | None:
    """None when `run_stage` gives what the stage's modules would, else the reason in words."""
    first: SwinBlock = stage.blocks[0]
    cls: Any = type(first)
    kind = FUSED_BLOCKS.get(cls)
    if kind is None:
        return _in_stage(x, f'blocks.0 is a {type(first).__name__} in the place of a SwinBlock')
    reason = _why_not_now(getattr(first.attn, 'attn_backend', 'auto'), x)
    if reason is not None:
        return reason
    for index, block in enumerate(stage.blocks):
        reason = why_not_plain(block, _block(index, cls)) or _why_not_block(block, x)
        if reason is not None:
            return _in_stage(x, reason)
    reason = None if norm is None else why_not_plain(norm, _OUTPUT_NORM)
    if reason is None and stage.downsample is not None and kind.merging is not None:
        reason = why_not_plain(stage.downsample, kind.merging)
    return None if reason is None else _in_stage(x, reason)


@cache
def _block(index: int, cls: type[SwinBlock]) -> Part:
    return Part(f'blocks.{index}', cls, children=FUSED_BLOCKS[cls].parts)


def _in_stage(x: Tensor, reason: str) -> str:
    return f'{reason} (stage of {x.shape[-1]} channels)'


def why_not_fused_patches(embed: nn.Module, image: Tensor, attn_backend: str) -> str | None:
    """None when `run_patch_embed` gives what the module would, else the reason in words."""
    reason = _why_not_now(attn_backend, image)
    if reason is None and image.requires_grad:
        reason = 'the image wants a gradient'
    reason = reason or why_not_plain(embed, _PATCHES)
    size = (embed.patch_size,) * 2
    if reason is None and not embed.proj.kernel_size == embed.proj.stride == size:
        reason = f'patch_embed.proj has kernels of {embed.proj.kernel_size} at strides of {embed.proj.stride}'
    return reason


def _why_not_now(attn_backend: str, x: Tensor) -> str | None:
    if is_traced():
        return 'the model is being traced, or a mode watches every operation'
    if type(x) is not Tensor:
        return f'the map is a {type(x).__name__}'
    if not (attn_backend == 'triton' or (attn_backend == 'auto' and x.is_cuda)):
        return f'attn_backend={attn_backend!r} on {x.device.type!r}'
    dtype = step_dtype(x)
    if x.dtype not in (torch.float32, dtype):
        return f'a map of {x.dtype} where matrix products are of {dtype}'
    return why_not_kernels(x.device, dtype) or why_not_plain_anywhere(_FORWARDS)


def _why_not_block(block: SwinBlock, x: Tensor) -> str | None:
    """Of a block of plain parts."""
    attn, dtype = block.attn, step_dtype(x)
    if block.training and (block.drop.p or block.mlp.drop.p):
        return 'drop_rate is not 0'
    if attn.qkv.weight.dtype != dtype and not torch.is_autocast_enabled(x.device.type):
        return f'weights of {attn.qkv.weight.dtype} without autocast'
    dropout_p = attn.attn_drop_rate if block.training else 0.0
    return why_not_attention(attn.proj.in_features // attn.num_heads, attn.window_size, dropout_p)


def step_dtype(x: Tensor) -> torch.dtype:
    """Of matrix products: autocast's where it is on."""
    device = x.device.type
    if device == 'meta':  # of which autocast knows nothing
        return x.dtype
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def norm_dtype(x: Tensor) -> torch.dtype:
    """Of a norm's result, as autocast has it: float32."""
    return torch.float32 if torch.is_autocast_enabled(x.device.type) else x.dtype


def run_patch_embed(embed: PatchEmbed, image: Tensor) -> Tensor:
    """As of `PatchEmbed.forward`."""
    parameters = embed.proj.weight, embed.proj.bias
    copies = in_dtype(parameters, step_dtype(image))
    return patch_norm(embed.pad(image), *parameters, norm_numbers(embed.norm), copies, norm_dtype(image))


def run_stage(
    stage: nn.Module,
    x: Tensor,
    norm: nn.LayerNorm | None,
    scales: Sequence[Scales],
    channels_last: bool,
    owns_x: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """As of `SwinStage.forward`, with the scales of each block's branches; `fused_blocks.py` draws what goes round."""
    kind, merge = FUSED_BLOCKS[type(stage.blocks[0])], stage.downsample
    is_merging_fused = merge is not None and kind.merging is not None
    factors = [kind.factors(block) for block in stage.blocks]
    flat = [factor for own in factors for factor in own]
    copies = iter(in_dtype([*flat, merge.reduction.weight] if is_merging_fused else flat, step_dtype(x)))
    x, beside, owns_x = x.contiguous(), None, owns_x or not x.is_contiguous()
    for index, (block, pair, own) in enumerate(zip(stage.blocks, scales, factors, strict=True)):
        # without gradients every block works in the memory of the one before
        arguments = block, x, beside, pair, own, [next(copies) for _ in own], owns_x or index > 0
        if stage.with_cp and torch.is_grad_enabled():
            # nothing in it is random; to keep the generators' states would synchronise, which no CUDA graph may
            x, beside = checkpoint(kind.run, *arguments, use_reentrant=False, preserve_rng_state=False)
        else:
            x, beside = kind.run(*arguments)
    branch, out = beside if kind.leaves_branch else None, None
    if norm is not None:
        x, out = output_norm(x, branch, norm_numbers(norm), step_dtype(x), channels_last=channels_last, reuse=True)
        branch = beside = None  # the merging needs their memory
    elif branch is not None:
        x = x + scale_branch(branch.values + branch.bias.to(branch.values.dtype), branch.scale)
    if is_merging_fused:
        return out, merging(x, norm_numbers(merge.norm), merge.reduction.weight, next(copies))
    return out, None if merge is None else merge(x)

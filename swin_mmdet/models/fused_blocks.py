"""What fused stages know of the blocks of each paper: their parts, and how one runs after the other.

A block's `run` takes x and what the block before has handed on beside it, and returns both for the next. What that is
differs, for a norm stands before a branch in V1, and after it in V2. With a and m for what the last matrix products of
attention and MLP give, block by block:

    V1                              x                       beside it: the branch that is still to be added
      enters                        x0                      None
      block 0  norm1 .. attention   x0                      a0
               norm2 .. MLP         x0 + a0                 m0
      block 1  norm1 .. attention   x0 + a0 + m0            a1
               norm2 .. MLP         x0 + a0 + m0 + a1       m1, which the norm of the stage's map adds

    V2                              x                       beside it: x in the dtype of the matrix products
      enters                        x0                      None: the first block casts x
      block 0  attention .. norm1   x1 = x0 + norm1(a0)     x1
               MLP .. norm2         x2 = x1 + norm2(m0)     x2
      block 1  attention .. norm1   x3 = x2 + norm1(a1)     x3, and so on

Each line is one node of autograd in V1, two in V2; its sum is made by the kernel of its norm, which reads x and the
branch anyway.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from swin_mmdet.models.block import Mlp, SwinBlock, SwinBlockV2
from swin_mmdet.models.patch_merging import PatchMerging
from swin_mmdet.models.plain import Part, layer_norm, linear
from swin_mmdet.models.window_attention import WindowAttention
from swin_mmdet.models.window_attention_v2 import WindowAttentionV2
from swin_mmdet.ops.residual_branch import Branch, Norm, attention, attention_branch, mlp, mlp_branch, post_norm

Scales = tuple[Tensor | None, Tensor | None]


class FusedBlock(NamedTuple):
    """How the blocks of a class run on fused operations.

    Attributes:
        parts: what such a block is made of.
        factors: what the matrix products of a block read.
        run: `(block, x, beside, scales, factors, copies, owns_x)` -> x and what is beside it, with `copies` of the
            factors in the dtype of the step; with `owns_x`, and without gradients, in the memory of x.
        leaves_branch: what is beside x is a branch, still to be added to it.
        merging: of the merging after such blocks, if there is a fused operation for it; else it runs as a module.
    """

    parts: tuple[Part, ...]
    factors: Callable[[SwinBlock], tuple[Tensor, ...]]
    run: Callable[..., tuple[Tensor, Branch | Tensor]]
    leaves_branch: bool
    merging: Part | None


def norm_numbers(norm: nn.LayerNorm) -> Norm:
    """A module's, for a fused operation."""
    return Norm(norm.weight, norm.bias, norm.eps)


def _factors(block: SwinBlock) -> tuple[Tensor, ...]:
    attn, mlp = block.attn, block.mlp
    return attn.qkv.weight, attn.qkv.bias, attn.proj.weight, mlp.fc1.weight, mlp.fc2.weight


def _factors_v2(block: SwinBlockV2) -> tuple[Tensor, ...]:
    attn, mlp = block.attn, block.mlp
    return attn.qkv.weight, attn.qkv_bias(), attn.proj.weight, mlp.fc1.weight, mlp.fc2.weight


def _run(
    block: SwinBlock,
    x: Tensor,
    branch: Branch | None,
    scales: Scales,
    factors: Sequence[Tensor],
    copies: Sequence[Tensor],
    owns_x: bool,
) -> tuple[Tensor, Branch]:
    attn, mlp_ = block.attn, block.mlp
    qkv_weight, qkv_bias, proj_weight, fc1_weight, fc2_weight = factors
    x, values = attention_branch(
        x,
        branch,
        norm_numbers(block.norm1),
        qkv_weight,
        qkv_bias,
        attn.relative_position_bias_table,
        proj_weight,
        copies[:3],
        window_size=attn.window_size,
        shift_size=attn.shift_size,
        scale=(attn.proj.in_features // attn.num_heads) ** -0.5,
        reuse=owns_x,
    )
    branch = Branch(values, attn.proj.bias, scales[0])
    x, values = mlp_branch(
        x, branch, norm_numbers(block.norm2), fc1_weight, mlp_.fc1.bias, fc2_weight, copies[3:], reuse=owns_x
    )
    return x, Branch(values, mlp_.fc2.bias, scales[1])


def _run_v2(
    block: SwinBlockV2,
    x: Tensor,
    low: Tensor | None,
    scales: Scales,
    factors: Sequence[Tensor],
    copies: Sequence[Tensor],
    owns_x: bool,
) -> tuple[Tensor, Tensor]:
    attn, mlp_ = block.attn, block.mlp
    qkv_weight, qkv_bias, proj_weight, fc1_weight, fc2_weight = factors
    dtype = copies[0].dtype
    values = attention(
        x.to(dtype) if low is None else low,
        qkv_weight,
        qkv_bias,
        attn.bias_table(),
        attn.cosine_scale(),
        proj_weight,
        copies[:3],
        window_size=attn.window_size,
        shift_size=attn.shift_size,
    )
    branch = Branch(values, attn.proj.bias, scales[0])
    x, low = post_norm(x, branch, norm_numbers(block.norm1), dtype, reuse=owns_x)
    values = mlp(low, fc1_weight, mlp_.fc1.bias, fc2_weight, copies[3:])
    branch = Branch(values, mlp_.fc2.bias, scales[1])
    return post_norm(x, branch, norm_numbers(block.norm2), dtype, reuse=True)


def _parts(attention: Part) -> tuple[Part, ...]:
    """Of a block with this attention."""
    gelu = Part('act', nn.GELU, settings=(('approximate', 'none'),))
    mlp = Part('mlp', Mlp, children=(linear('fc1'), gelu, linear('fc2'), Part('drop', nn.Dropout)))
    return layer_norm('norm1'), attention, Part('drop', nn.Dropout), layer_norm('norm2'), mlp


FUSED_BLOCKS = {
    SwinBlock: FusedBlock(
        parts=_parts(
            Part(
                'attn', WindowAttention, ('relative_position_bias_table',), children=(linear('qkv'), linear('proj'))
            )
        ),
        factors=_factors,
        run=_run,
        leaves_branch=True,
        merging=Part('downsample', PatchMerging, children=(layer_norm('norm'), linear('reduction', bias=False))),
    ),
    SwinBlockV2: FusedBlock(
        parts=_parts(
            Part(
                'attn',
                WindowAttentionV2,
                ('q_bias', 'v_bias', 'logit_scale'),
                # its position MLP is called
                children=(linear('qkv', bias=False), linear('proj')),
            )
        ),
        factors=_factors_v2,
        run=_run_v2,
        leaves_branch=False,
        merging=None,
    ),
}  # fmt: skip

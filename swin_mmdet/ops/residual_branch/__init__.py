"""The halves of a block and the norms between stages, each one node of autograd that keeps little; Triton, for GPUs."""

from swin_mmdet.ops.residual_branch.attention_branch import attention, attention_branch
from swin_mmdet.ops.residual_branch.linear import in_dtype
from swin_mmdet.ops.residual_branch.map_norm import merging, output_norm, patch_norm
from swin_mmdet.ops.residual_branch.mlp_branch import mlp, mlp_branch
from swin_mmdet.ops.residual_branch.pieces import Branch, Norm
from swin_mmdet.ops.residual_branch.post_norm import post_norm

__all__ = [
    'Branch',
    'Norm',
    'attention',
    'attention_branch',
    'in_dtype',
    'merging',
    'mlp',
    'mlp_branch',
    'output_norm',
    'patch_norm',
    'post_norm',
]

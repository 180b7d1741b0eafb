"""The halves of a block and the norms between stages, each one node of autograd that keeps little; Triton, for GPUs."""

from swin_mmdet.ops.residual_branch.attention_branch import attention_branch
from swin_mmdet.ops.residual_branch.linear import in_dtype
from swin_mmdet.ops.residual_branch.map_norm import merging, output_norm, patch_norm
from swin_mmdet.ops.residual_branch.mlp_branch import mlp_branch
from swin_mmdet.ops.residual_branch.pieces import Branch, Norm

__all__ = ['Branch', 'Norm', 'attention_branch', 'in_dtype', 'merging', 'mlp_branch', 'output_norm', 'patch_norm']

"""The implementations of deformable attention."""

import torch
from torch import Tensor

from swin_mmdet.ops.backend import Backend
from swin_mmdet.ops.deformable_attention.bags import embedding_bag_attention
from swin_mmdet.ops.deformable_attention.reference import reference_attention
from swin_mmdet.ops.deformable_attention.triton_op import triton_attention, why_not_triton


def _only_to_repeat(value: Tensor) -> str | None:
    """It is slow: for those alone who want the same sums in every run."""
    if value.is_cuda and torch.are_deterministic_algorithms_enabled():
        return None
    return 'it is for deterministic algorithms on GPUs'


BACKENDS = (
    Backend('triton', triton_attention, why_not_triton, on_gpu=True),
    Backend('embedding_bag', embedding_bag_attention, why_not_auto=_only_to_repeat, on_gpu=True),
    Backend('reference', reference_attention),
)

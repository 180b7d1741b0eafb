"""The implementations of `shifted_window_attention`, and the choice among them."""

from torch import Tensor

from swin_mmdet.ops import backend as table
from swin_mmdet.ops.backend import Backend
from swin_mmdet.ops.shifted_window_attention.reference import reference_attention
from swin_mmdet.ops.shifted_window_attention.sdpa import sdpa_attention
from swin_mmdet.ops.shifted_window_attention.tiled import tiled_attention, why_not_tiled
from swin_mmdet.ops.shifted_window_attention.triton_op import triton_attention, why_not_triton

# fastest first: 'auto' takes the first row that accepts the input
BACKENDS = (
    Backend('triton', triton_attention, why_not_triton, on_gpu=True),
    Backend('tiled', tiled_attention, why_not_tiled),
    Backend('sdpa', sdpa_attention),
    Backend('reference', reference_attention),
)
BACKEND_NAMES = table.names(BACKENDS)


def check_backend_name(name: str, argument: str) -> None:
    """`ValueError` that names `argument` when `name` is not one of `BACKEND_NAMES`."""
    table.check_backend_name(BACKENDS, name, argument)


def resolve_backend(name: str, qkv: Tensor, bias_table: Tensor, window_size: int, dropout_p: float = 0.0) -> Backend:
    """The backend to run for these inputs, as the table's rule has it."""
    return table.resolve_backend('shifted_window_attention', BACKENDS, name, qkv, bias_table, window_size, dropout_p)

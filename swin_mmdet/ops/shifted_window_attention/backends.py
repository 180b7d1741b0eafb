"""The implementations of `shifted_window_attention`, and the choice among them."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.shifted_window_attention.reference import reference_attention
from swin_mmdet.ops.shifted_window_attention.sdpa import sdpa_attention
from swin_mmdet.ops.shifted_window_attention.tiled import tiled_attention, why_not_tiled
from swin_mmdet.ops.shifted_window_attention.triton_op import triton_attention, why_not_triton


def _always_accepts(_qkv: Tensor, _bias_table: Tensor, _window_size: int, _dropout_p: float) -> str | None:
    return None


@dataclass(frozen=True)
class Backend:
    """A row of the table: `why_not` is None when `run` accepts the input, else why in words.

    With `on_gpu` only GPU tensors let 'auto' choose it: on others it runs for tests alone.
    """

    name: str
    run: Callable[..., Tensor]
    why_not: Callable[[Tensor, Tensor, int, float], str | None] = _always_accepts
    on_gpu: bool = False


# fastest first: 'auto' takes the first row that accepts the input
BACKENDS = (
    Backend('triton', triton_attention, why_not_triton, on_gpu=True),
    Backend('tiled', tiled_attention, why_not_tiled),
    Backend('sdpa', sdpa_attention),
    Backend('reference', reference_attention),
)
BACKEND_NAMES = ('auto', *(backend.name for backend in BACKENDS))


def check_backend_name(name: str, argument: str) -> None:
    """`ValueError` that names `argument` when `name` is not one of `BACKEND_NAMES`."""
    if name not in BACKEND_NAMES:
        raise ValueError(f'{argument}={name!r} is unknown; use one of {BACKEND_NAMES}')


def resolve_backend(name: str, qkv: Tensor, bias_table: Tensor, window_size: int, dropout_p: float = 0.0) -> Backend:
    """The backend to run: 'auto' logs each refusal once and goes on, a name that refuses raises `ValueError`."""
    check_backend_name(name, 'backend')
    for backend in BACKENDS:
        if name not in ('auto', backend.name) or (name == 'auto' and backend.on_gpu and not qkv.is_cuda):
            continue
        reason = backend.why_not(qkv, bias_table, window_size, dropout_p)
        if reason is None:
            log_once(f'shifted_window_attention runs on {backend.name!r}')
            return backend
        if name == backend.name:
            raise ValueError(f'{backend.name}: {reason}')
        log_once(f'shifted_window_attention: {backend.name}: {reason}')
    raise AssertionError('the reference accepts every input')

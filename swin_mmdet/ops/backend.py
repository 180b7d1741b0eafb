"""A table of implementations of one operation, and the choice among them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from swin_mmdet.ops.log import log_once


def _always_accepts(*_: object) -> str | None:
    return None


@dataclass(frozen=True)
class Backend:
    """A row of the table: `why_not` is None when `run` accepts the input, else why in words.

    `why_not_auto` says the same for 'auto' alone: who asks for the row by name gets it. With `on_gpu` only GPU tensors
    let 'auto' choose it: on others it runs for tests.
    """

    name: str
    run: Callable[..., Tensor]
    why_not: Callable[..., str | None] = _always_accepts
    why_not_auto: Callable[..., str | None] = _always_accepts
    on_gpu: bool = False


def resolve_backend(operation: str, table: Sequence[Backend], name: str, x: Tensor, *inputs: object) -> Backend:
    """The row to run for these inputs, the first of which says where: the fastest comes first in the table.

    'auto' logs each refusal once and goes on; a name that refuses, or that is none, raises `ValueError`.
    """
    check_backend_name(table, name, 'backend')
    for backend in table:
        if name not in ('auto', backend.name) or (name == 'auto' and backend.on_gpu and not x.is_cuda):
            continue
        reason = backend.why_not(x, *inputs)
        if reason and name == backend.name:
            raise ValueError(f'{backend.name}: {reason}')
        if reason is None and name == 'auto':
            reason = backend.why_not_auto(x, *inputs)
        if reason is None:
            log_once(f'{operation} runs on {backend.name!r}')
            return backend
        log_once(f'{operation}: {backend.name}: {reason}')
    raise AssertionError('the last row accepts every input')


def names(table: Sequence[Backend]) -> tuple[str, ...]:
    """What may be asked for."""
    return ('auto', *(backend.name for backend in table))


def check_backend_name(table: Sequence[Backend], name: str, argument: str) -> None:
    """`ValueError` that names `argument` when `name` is not one of the table's."""
    if name not in names(table):
        raise ValueError(f'{argument}={name!r} is unknown; use one of {names(table)}')

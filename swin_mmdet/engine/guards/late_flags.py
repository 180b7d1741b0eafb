"""Numbers of a device that the host reads when they are long there, so that it need not wait for them."""

from collections import deque
from typing import Any

import torch
from torch import Tensor


class LateFlags:
    """A queue of flags of a device, each with a note of the host.

    Args:
        late: how many younger ones wait on a GPU before one is read.
    """

    def __init__(self, late: int = 2) -> None:
        self.late = late
        self._waiting: deque[tuple[Tensor, torch.cuda.Event | None, Any]] = deque()

    def put(self, flag: Tensor, note: Any) -> None:
        """A number of one element."""
        if not flag.is_cuda:
            self._waiting.append((flag, None, note))
            return
        host = torch.empty((), dtype=flag.dtype, pin_memory=True).copy_(flag.reshape(()), non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        self._waiting.append((host, event, note))

    def take(self, all_of_them: bool = False) -> list[tuple[bool, Any]]:
        """Those that are old enough, or all."""
        taken = []
        while self._waiting and (all_of_them or self._waiting[0][1] is None or len(self._waiting) > self.late):
            flag, event, note = self._waiting.popleft()
            if event:
                event.synchronize()
            taken.append((bool(flag), note))
        return taken

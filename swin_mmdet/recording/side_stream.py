"""Work for a GPU beside what has been launched since."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class SideStream:
    """A stream for small work that the host waits for, while larger work runs."""

    def __init__(self) -> None:
        self._stream: torch.cuda.Stream | None = None

    def mark(self, device: torch.device) -> torch.cuda.Event | None:
        """The end of all that has been launched on a GPU's current stream; None for a CPU, where it has ended."""
        return torch.cuda.current_stream(device).record_event() if device.type == 'cuda' else None

    @contextmanager
    def after(self, mark: torch.cuda.Event | None) -> Iterator[None]:
        """What is launched meanwhile waits for the mark alone.

        The host has to wait for its end before memory that it reads is free.
        """
        if mark is None:
            yield
            return
        if self._stream is None or self._stream.device != mark.device:
            # the less there is of it the sooner it is done
            self._stream = torch.cuda.Stream(mark.device, priority=-1)
        self._stream.wait_event(mark)
        with torch.cuda.stream(self._stream):
            yield

"""One run of a function as a CUDA graph."""

import weakref
from collections.abc import Callable
from typing import TypeVar

import torch

from swin_mmdet.no_collection import no_collection
from swin_mmdet.ops.tracing import kept_alive

Result = TypeVar('Result')


class Capture:
    """Makes graphs that share the memory of one run, on one device."""

    def __init__(self) -> None:
        self._pool = None
        self._graphs: weakref.WeakSet[torch.cuda.CUDAGraph] = weakref.WeakSet()
        # what is freed on one stream is never used by another
        self._stream: torch.cuda.Stream | None = None

    def __call__(
        self, function: Callable[[], Result], device: torch.device
    ) -> tuple[torch.cuda.CUDAGraph, Result, list[object]]:
        """The graph, the result in its memory, and what is to be kept as long as it: constants that it reads.

        Best right after such a run, so that all it needs to be made once has been made.

        Raises:
            RuntimeError: something in the function cannot be recorded.
        """
        # a pool ends with the last graph in it
        if not self._graphs:
            self._pool = torch.cuda.graph_pool_handle()
        if self._stream is None:
            self._stream = torch.cuda.Stream(device)
        graph = torch.cuda.CUDAGraph()
        # to free what other recordings hold would break this one off
        with torch.cuda.device(device), no_collection(), kept_alive() as read:
            torch.cuda.synchronize(device)
            try:
                with torch.cuda.stream(self._stream):
                    # other threads, such as those that pin the memory of batches, go on meanwhile, and this one makes
                    # constants that are new
                    graph.capture_begin(pool=self._pool, capture_error_mode='relaxed')
                    try:
                        result = function()
                    finally:
                        graph.capture_end()
            except BaseException:
                # a recording that broke off leaves the generator waiting for its end
                generator = torch.cuda.default_generators[device.index]
                generator.graphsafe_set_state(generator.clone_state())
                raise
        self._graphs.add(graph)
        return graph, result, read

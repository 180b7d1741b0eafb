"""CUDA graphs of a model's forward for images of recurring sizes: one launch instead of hundreds."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class _Recording:
    graph: torch.cuda.CUDAGraph
    image: Tensor
    maps: tuple[Tensor, ...]


class InferenceGraphs:
    """Runs a function of an image in inference, by replay where the same kind of image came before.

    A kind is a shape, a dtype, a device and the state of autocast. The first image of a kind runs as ever, the second
    is recorded, all others are replayed; of `limit` kinds the least recently used gives way. Results are the caller's
    own. Weights may change in place at any time; when they move to other memory, all recordings are dropped.

    Copies of the object (`deepcopy`, pickle) start without recordings.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._forget()

    def _forget(self) -> None:
        self._recordings: OrderedDict[tuple, _Recording | None] = OrderedDict()
        self._addresses: list[int] = []
        self._pool = None

    def accepts(self, model: nn.Module, image: Tensor) -> bool:
        """Whether this call may be replayed: inference of an ordinary module on a GPU."""
        return (
            self.limit > 0
            and image.is_cuda
            and not model.training
            and not torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
            and not torch.jit.is_tracing()
            and not torch.cuda.is_current_stream_capturing()
        )

    def __call__(self, model: nn.Module, forward: Callable[[Tensor], tuple[Tensor, ...]], image: Tensor):
        addresses = [tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers())]
        if addresses != self._addresses:
            self._forget()
            self._addresses = addresses
        autocast = torch.is_autocast_enabled('cuda') and torch.get_autocast_dtype('cuda')
        kind = image.shape, image.dtype, image.device, autocast
        known = kind in self._recordings
        recording = self._recordings.pop(kind, None)
        if known and recording is None:
            # a cached cast of a weight would be read in all replays, whatever becomes of the weight
            with torch.autocast('cuda', autocast or None, enabled=bool(autocast), cache_enabled=False):
                recording = self._record(forward, image)
        self._recordings[kind] = recording
        while len(self._recordings) > self.limit:
            self._recordings.popitem(last=False)
        if recording is None:
            return forward(image)
        recording.image.copy_(image)
        recording.graph.replay()
        return tuple(out.clone() for out in recording.maps)

    def _record(self, forward: Callable[[Tensor], tuple[Tensor, ...]], image: Tensor) -> _Recording:
        # plain tensors, because a recording of torch.inference_mode must serve torch.no_grad
        with torch.inference_mode(False), torch.no_grad(), torch.cuda.device(image.device):
            static = torch.empty_like(image, memory_format=torch.contiguous_format).copy_(image)
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                forward(static)  # libraries make their workspaces outside the recording
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            if self._pool is None:
                self._pool = torch.cuda.graph_pool_handle()
            with torch.cuda.graph(graph, pool=self._pool):
                maps = forward(static)
        return _Recording(graph, static, maps)

    def __deepcopy__(self, _memo: dict) -> 'InferenceGraphs':
        return InferenceGraphs(self.limit)

    def __reduce__(self) -> tuple:
        return InferenceGraphs, (self.limit,)

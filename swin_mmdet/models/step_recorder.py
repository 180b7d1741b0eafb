"""Makes recordings: a step's forward, and in training its backward, as CUDA graphs over memory of their own."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from swin_mmdet.models.watched_model import WatchedModel
from swin_mmdet.no_collection import no_collection
from swin_mmdet.ops.flat import cut, flat_numel
from swin_mmdet.ops.memory_format import is_channels_last, memory_format

Forward = Callable[[Tensor, Tensor | None], tuple[Tensor, ...]]


@dataclass
class Recording:
    """The graphs of a kind of step, and the tensors in their memory through which they are fed and read."""

    forward: torch.cuda.CUDAGraph
    image: Tensor
    scales: Tensor | None = None
    maps: tuple[Tensor, ...] = ()
    # of training
    backward: torch.cuda.CUDAGraph | None = None
    map_grads: dict[int, Tensor] = field(default_factory=dict)  # by the index of the map
    gradients: tuple[Tensor, ...] = ()  # of the parameters, for the copy that follows a replay
    last_call: int = 0

    def replay_forward(self, image: Tensor, scales: Tensor | None) -> tuple[Tensor, ...]:
        """The maps, which are the caller's own."""
        self.image.copy_(image)
        if scales is not None and self.scales is not None:
            self.scales.copy_(scales)
        self.forward.replay()
        return tuple(x.clone() for x in self.maps)

    def replay_backward(self, map_grads: tuple[Tensor | None, ...]) -> list[Tensor]:
        """The gradients of all parameters, which are the caller's own."""
        for index, static in self.map_grads.items():
            if map_grads[index] is None:
                static.zero_()
            else:
                static.copy_(map_grads[index])
        assert self.backward is not None
        self.backward.replay()
        first, shapes = self.gradients[0], [gradient.shape for gradient in self.gradients]
        # in one piece, which is allocated at once
        own = cut(first.new_empty(flat_numel(shapes)), shapes)
        torch._foreach_copy_(own, self.gradients)
        return own


@contextmanager
def _unfilled() -> Iterator[None]:
    """Deterministic algorithms fill new memory with NaN: recorded, that would be done to the inputs of each replay."""
    settings = torch.utils.deterministic
    before = settings.fill_uninitialized_memory
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        settings.fill_uninitialized_memory = before


class StepRecorder:
    """Its recordings share memory, which is one step's at a time, from its forward to its backward."""

    def __init__(self) -> None:
        self._pool = None
        # what is freed on one stream is never used by another
        self._stream: torch.cuda.Stream | None = None
        # by their shapes, those of the first recording; the others put theirs into the same memory
        self._gradients: dict[tuple[torch.Size, ...], tuple[Tensor, ...]] = {}

    def record(
        self,
        watched: WatchedModel,
        forward: Forward,
        image: Tensor,
        scales: Tensor | None,
        autocast: torch.dtype | bool,
        *,
        training: bool,
    ) -> Recording:
        """Of `forward(image, scales)` of the model; `RuntimeError` when something in it cannot be recorded."""
        gc.collect()
        try:
            # plain tensors, because a recording made in torch.inference_mode must serve torch.no_grad; and no cache of
            # autocast, whose casts of weights would be read in all replays, whatever becomes of the weights; to free
            # what other recordings hold would break this one off
            with (
                torch.inference_mode(False),
                torch.set_grad_enabled(training),
                torch.cuda.device(image.device),
                torch.autocast('cuda', autocast or None, enabled=bool(autocast), cache_enabled=False),
                no_collection(),
                _unfilled(),
                watched.stand_ins() as trained,
            ):
                return self._capture(forward, image, scales, trained if training else [])
        except RuntimeError:
            # a recording that broke off leaves the generator waiting for its end
            generator = torch.cuda.default_generators[image.device.index]
            generator.graphsafe_set_state(generator.clone_state())
            raise

    def _capture(self, forward: Forward, image: Tensor, scales: Tensor | None, trained: list[Tensor]) -> Recording:
        layout = memory_format(is_channels_last(image))
        image = image.detach().clone(memory_format=layout)
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        if self._stream is None:
            self._stream = torch.cuda.Stream(image.device)
        stream = self._stream
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            # whatever is made at a first run, such as the workspaces of libraries, is made outside the recording
            maps = forward(image, scales)
            # the map of a frozen stage has no gradient
            wanted = [index for index, x in enumerate(maps) if x.requires_grad]
            if trained:
                map_grads = [torch.zeros_like(maps[index]) for index in wanted]
                torch.autograd.grad([maps[index] for index in wanted], trained, map_grads)
                del map_grads
            del maps
        torch.cuda.current_stream().wait_stream(stream)
        # other threads, such as those that pin the memory of batches, go on meanwhile
        options = {'pool': self._pool, 'stream': stream, 'capture_error_mode': 'thread_local'}
        graph = torch.cuda.CUDAGraph()
        # inputs and results stay in the memory of the recordings, so that its size is all that they cost
        with torch.cuda.graph(graph, **options):
            recording = Recording(graph, torch.empty_like(image, memory_format=layout))
            recording.scales = None if scales is None else torch.empty_like(scales)
            maps = forward(recording.image, recording.scales)
        if trained:
            recording.backward = torch.cuda.CUDAGraph()
            with torch.cuda.graph(recording.backward, **options):
                recording.map_grads = {index: torch.empty_like(maps[index]) for index in wanted}
                static = list(recording.map_grads.values())
                grads = torch.autograd.grad([maps[index] for index in wanted], trained, static)
                recording.gradients = self._kept(grads)
        recording.maps = tuple(x.detach() for x in maps)
        return recording

    def _kept(self, grads: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The same gradients in the memory that all recordings have for theirs."""
        shapes = tuple(gradient.shape for gradient in grads)
        kept = self._gradients.get(shapes)
        if kept is None:
            # each in a place of its own, where the next recording can write
            own: dict[int, Tensor] = {}
            for x in grads:
                if not x.is_contiguous() or x.data_ptr() in own:
                    x = x.clone(memory_format=torch.contiguous_format)
                own[x.data_ptr()] = x
            self._gradients[shapes] = kept = tuple(own.values())
        else:
            torch._foreach_copy_(kept, grads)
        return kept

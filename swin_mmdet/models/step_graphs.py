"""CUDA graphs of a backbone: for images of a kind that comes again and again, one launch instead of hundreds.

At a few images a GPU, Python and PyTorch take longer to launch a step than the GPU takes to run it. A graph is recorded
once and replayed without them.
"""

import gc
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from swin_mmdet.models.plain import COMPILED, HOOKS, REPLACED, has_global_hooks
from swin_mmdet.ops.flat import cut, flat_numel
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.memory_format import is_channels_last, memory_format
from swin_mmdet.ops.tracing import is_traced

# a kind of image is recorded when it came this often among the last images
TIMES, LAST = 3, 64
# recordings that are kept, of training and of inference: beyond the memory of one step, each has its images and maps
LIMITS = {True: 4, False: 8}
# calls for which a recording must have been idle before another takes its place: recording costs as much as many steps
IDLE = 1000
# above about four images of 800x1344 the GPU is slower than the launches, and memory the scarcer good
MAX_PIXELS = 5 * 2**20

Forward = Callable[[Tensor, Tensor | None], tuple[Tensor, ...]]


class _Step:
    """One use of a recording, from its forward to its backward; whoever holds it may still want the latter."""

    done = False


@dataclass
class _Recording:
    forward: torch.cuda.CUDAGraph
    image: Tensor | None = None
    scales: Tensor | None = None
    maps: tuple[Tensor, ...] = ()
    # of training
    backward: torch.cuda.CUDAGraph | None = None
    map_grads: dict[int, Tensor] = field(default_factory=dict)
    gradients: Tensor | None = None
    last_call: int = 0


# what decides how a module runs, besides its type
SETTINGS = (
    *('p', 'eps', 'approximate', 'attn_backend', 'attn_drop_rate', 'window_size', 'shift_size', 'with_cp'),
    'drop_path_rate',
)


class _Watched:
    """A model in flat lists, so that every step can ask in microseconds whether a recording still stands for it."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = list(model.modules())
        # dictionaries, because attributes of a module are slow
        own = [module.__dict__ for module in self._modules]
        self._own = own
        self._classes = list(dict.fromkeys(map(type, self._modules)))
        self._tensors = [one[name] for one in own for name in ('_parameters', '_buffers')]
        self._children = [one['_modules'] for one in own]
        # what is at the model itself runs outside of what is recorded
        self._hooks = [one[name] for one in own[1:] for name in HOOKS]
        self._settings = [(one, name) for one in own for name in SETTINGS if name in one]
        self.parameters = [x for one in own for x in one['_parameters'].values() if x is not None]
        self.identity = self._identity()

    def _identity(self) -> list:
        tensors = [x for one in self._tensors for x in one.values() if x is not None]
        return [
            [x.data_ptr() for x in tensors],
            [id(x) for x in tensors],
            [id(child) for one in self._children for child in one.values()],
            [one[name] for one, name in self._settings],
            list(map(type, self._modules)),
            [cls.forward for cls in self._classes],
            self.is_touched(),
        ]

    def is_touched(self) -> bool:
        """Whether somebody watches the modules, or has replaced what one does."""
        return (
            any(self._hooks)
            or has_global_hooks()
            or any(REPLACED in one or COMPILED in one for one in self._own[1:])
        )

    def is_of(self, model: nn.Module) -> bool:
        """Whether this model's modules, tensors and settings are what they were when the lists were made."""
        return model is self._modules[0] and self._identity() == self.identity

    def trained(self) -> list[Tensor]:
        return [parameter for parameter in self.parameters if parameter.requires_grad]

    @contextmanager
    def stand_ins(self) -> Iterator[list[Tensor]]:
        """The modules read leaves that share the trained parameters' memory: they are what this returns.

        The nodes of autograd that take a parameter's own gradients belong to the stream of its last use, which is that
        of the caller, as long as anybody keeps a loss: a recording may not wait for it.
        """
        originals = [
            (own, name, x)
            for own in self._tensors
            for name, x in own.items()
            if isinstance(x, nn.Parameter) and x.requires_grad
        ]
        leaves = []
        try:
            for own, name, x in originals:
                own[name] = leaf = x.detach().requires_grad_()
                leaves.append(leaf)
            yield leaves
        finally:
            for own, name, x in originals:
                own[name] = x

    def flags(self) -> tuple[bool, ...]:
        """What may change from one kind of step to another: training or not, of modules and of parameters."""
        return tuple([one['training'] for one in self._own] + [x.requires_grad for x in self.parameters])


class StepGraphs:
    """Runs a backbone's forward, and in training its backward, by replay where the same kind of image came before.

    A kind is a shape, a dtype, the state of autocast and of the parameters. Results and gradients are the caller's own.
    Weights may change in place at any time; when they move to other memory all recordings are dropped. All recordings
    share the memory of one step: a second forward before the first one's backward runs without them.

    Threads may share it; calls from another CUDA stream than the first one's run without recordings. Copies of the
    object (`deepcopy`, pickle) start without recordings.
    """

    def __init__(self) -> None:
        self._failed = False
        self._lock = threading.RLock()
        self._step: weakref.ref | None = None
        self._forget()

    def _forget(self) -> None:
        self._recordings: dict[tuple, _Recording] = {}
        self._calls = 0
        self._kinds: deque[tuple] = deque(maxlen=LAST)
        self._watched: _Watched | None = None
        self._pool = None
        self._gradients: dict[int, Tensor] = {}  # by size, one for all recordings of it
        self._stream: int | None = None

    def accepts(self, image: Tensor) -> bool:
        """Whether this call may be replayed: nobody watches its operations, and it is small."""
        return (
            not self._failed
            and type(image) is Tensor
            and image.is_cuda
            and not image.requires_grad
            and 0 < image.shape[0] * image.shape[2] * image.shape[3] <= MAX_PIXELS
            and not torch.cuda.is_current_stream_capturing()
            and not is_traced()
        )

    def __call__(self, model: nn.Module, forward: Forward, image: Tensor, scales: Tensor | None) -> tuple[Tensor, ...]:
        """`forward(image, scales)` of a model whose parameters get gradients, if they want them, and nothing else."""
        with self._lock:
            return self._run(model, forward, image, scales)

    def _run(self, model: nn.Module, forward: Forward, image: Tensor, scales: Tensor | None) -> tuple[Tensor, ...]:
        if self._watched is None or not self._watched.is_of(model):
            self._forget()
            self._watched = _Watched(model)
        trained = self._watched.trained() if torch.is_grad_enabled() else []
        stream = torch.cuda.current_stream(image.device).cuda_stream
        if self._stream is None:
            self._stream = stream
        if stream != self._stream or self._is_busy():
            return forward(image, scales)
        autocast = torch.is_autocast_enabled('cuda') and torch.get_autocast_dtype('cuda')
        kind = (
            image.shape,
            is_channels_last(image),
            image.dtype,
            image.device,
            autocast,
            scales is None,
            bool(trained),
            self._watched.flags(),
            torch.backends.cuda.matmul.allow_tf32,
        )
        self._calls += 1
        recording = self._recordings.get(kind)
        if recording is None:
            self._kinds.append(kind)
            if self._kinds.count(kind) < TIMES:
                return forward(image, scales)
            # only now, for these walks over the model would cost every step of a multi-scale training
            reason = self._why_not_recorded(model, image)
            if reason is not None:
                log_once(f'CUDA graphs are not used: {reason}')
                return forward(image, scales)
            if not self._make_room(bool(trained)):
                return forward(image, scales)
            recording = self._record(forward, image, scales, autocast, training=bool(trained))
            if recording is None:
                return forward(image, scales)
            self._recordings[kind] = recording
        recording.last_call = self._calls
        if trained:
            return _Replay.apply(self, recording, image, scales, *trained)
        return self.replay_forward(recording, image, scales)

    def _why_not_recorded(self, model: nn.Module, image: Tensor) -> str | None:
        if self._watched.is_touched():
            return 'a module has hooks or a forward of its own'
        return None if model.is_fused(image) else model.why_not_fused(image)

    def _make_room(self, training: bool) -> bool:
        """Whether there is room for one more recording, if need be that of an idle one."""
        same = {kind: one for kind, one in self._recordings.items() if (one.backward is not None) == training}
        if len(same) < LIMITS[training]:
            return True
        oldest = min(same, key=lambda kind: same[kind].last_call)
        if self._calls - same[oldest].last_call < IDLE:
            return False
        del self._recordings[oldest]
        return True

    def _is_busy(self) -> bool:
        """Whether a step of training has begun whose backward may still come."""
        step = None if self._step is None else self._step()
        return step is not None and not step.done

    def replay_forward(self, recording: _Recording, image: Tensor, scales: Tensor | None) -> tuple[Tensor, ...]:
        recording.image.copy_(image)
        if scales is not None:
            recording.scales.copy_(scales)
        recording.forward.replay()
        return tuple(x.clone() for x in recording.maps)

    def start_step(self) -> _Step:
        """Of training: until it is done, or nobody can finish it, the memory of the recordings is its own."""
        step = _Step()
        self._step = weakref.ref(step)
        return step

    def is_current(self, step: _Step) -> bool:
        return self._step is not None and self._step() is step

    def replay_backward(self, recording: _Recording, map_grads: tuple[Tensor | None, ...]) -> Tensor:
        """The gradients of all parameters, one after the other."""
        with self._lock:
            for place, static in recording.map_grads.items():
                if map_grads[place] is None:
                    static.zero_()
                else:
                    static.copy_(map_grads[place])
            recording.backward.replay()
            return recording.gradients.clone()

    def _record(
        self,
        forward: Forward,
        image: Tensor,
        scales: Tensor | None,
        autocast: torch.dtype | bool,
        *,
        training: bool,
    ) -> _Recording | None:
        collects = gc.isenabled()
        gc.collect()
        # to free what other recordings hold would break this one off
        gc.disable()
        try:
            # plain tensors, because a recording made in torch.inference_mode must serve torch.no_grad; and no cache of
            # autocast, whose casts of weights would be read in all replays, whatever becomes of the weights
            with (
                torch.inference_mode(False),
                torch.set_grad_enabled(training),
                torch.cuda.device(image.device),
                torch.autocast('cuda', autocast or None, enabled=bool(autocast), cache_enabled=False),
                self._watched.stand_ins() as trained,
            ):
                return self._capture(forward, image, scales, trained if training else [])
        except RuntimeError as error:
            self._forget()
            self._failed = True
            # a recording that broke off leaves the generator waiting for its end
            generator = torch.cuda.default_generators[image.device.index]
            generator.graphsafe_set_state(generator.clone_state())
            print_log(f'CUDA graphs are switched off: recording failed with {error}', 'current', level=logging.WARNING)
            return None
        finally:
            if collects:
                gc.enable()

    def _capture(self, forward: Forward, image: Tensor, scales: Tensor | None, trained: list[Tensor]) -> _Recording:
        layout = memory_format(is_channels_last(image))
        image = image.detach().clone(memory_format=layout)
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            # whatever is made at a first run, such as the workspaces of libraries, is made outside the recording
            maps = forward(image, scales)
            # the map of a frozen stage has no gradient
            wanted = [place for place, x in enumerate(maps) if x.requires_grad]
            if trained:
                map_grads = [torch.zeros_like(maps[place]) for place in wanted]
                torch.autograd.grad([maps[place] for place in wanted], trained, map_grads)
                del map_grads
            del maps
        torch.cuda.current_stream().wait_stream(stream)
        # other threads, such as those that pin the memory of batches, go on meanwhile
        options = {'pool': self._pool, 'stream': stream, 'capture_error_mode': 'thread_local'}
        recording = _Recording(torch.cuda.CUDAGraph())
        # inputs and results stay in the memory of the recordings, so that its size is all that they cost
        with torch.cuda.graph(recording.forward, **options):
            recording.image = torch.empty_like(image, memory_format=layout)
            recording.scales = None if scales is None else torch.empty_like(scales)
            maps = forward(recording.image, recording.scales)
        if trained:
            shapes = [parameter.shape for parameter in trained]
            numel = flat_numel(shapes)
            recording.backward = torch.cuda.CUDAGraph()
            with torch.cuda.graph(recording.backward, **options):
                map_grads = recording.map_grads = {place: torch.empty_like(maps[place]) for place in wanted}
                grads = torch.autograd.grad([maps[place] for place in wanted], trained, list(map_grads.values()))
                if numel not in self._gradients:
                    self._gradients[numel] = torch.empty(numel, dtype=trained[0].dtype, device=image.device)
                recording.gradients = self._gradients[numel]
                torch._foreach_copy_(cut(recording.gradients, shapes), grads)
        recording.maps = tuple(x.detach() for x in maps)
        return recording

    def __deepcopy__(self, _memo: dict) -> 'StepGraphs':
        return StepGraphs()

    def __reduce__(self) -> tuple:
        return StepGraphs, ()


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx, graphs, recording, image, scales, *trained):
        ctx.graphs, ctx.recording, ctx.step = graphs, recording, graphs.start_step()
        ctx.shapes = [parameter.shape for parameter in trained]
        ctx.set_materialize_grads(False)
        maps = graphs.replay_forward(recording, image, scales)
        ctx.mark_non_differentiable(*(x for place, x in enumerate(maps) if place not in recording.map_grads))
        return maps

    @staticmethod
    @once_differentiable
    def backward(ctx, *map_grads):
        if not ctx.graphs.is_current(ctx.step):
            raise RuntimeError(
                'backward through a step of the backbone whose memory a later step has taken, with cuda_graphs=True; '
                'set cuda_graphs=False for such a training'
            )
        flat = ctx.graphs.replay_backward(ctx.recording, map_grads)
        ctx.step.done = True
        return None, None, None, None, *cut(flat, ctx.shapes)

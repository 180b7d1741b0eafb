"""CUDA graphs of a backbone: for images of a kind that comes again and again, one launch instead of hundreds.

At a few images a GPU, Python and PyTorch take longer to launch a step than the GPU takes to run it. A graph is recorded
once and replayed without them. How long what lives, as time goes to the right:

    model         ====================================================  its weights may change, but not move
    WatchedModel  |================================|==================  until a module, weight or setting is another
    StepRecorder  |================================|==================  as long: the memory that all recordings share
      Recording       |============================|     |============  of a kind of image that comes often
      Recording              |=============|                            as idle as here, it makes room for a third kind
        _Step         f---b    f-b  f---b    f--x          f---b        a training step: to its backward, or x, until
                                                                        autograd drops the graph that would run it
    results           =====================================             clones, the caller's own

Between f and b that memory is the step's: another forward meanwhile runs without recordings.
"""

import logging
import threading
import weakref
from collections import deque

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from swin_mmdet.models.step_recorder import Forward, Recording, StepRecorder
from swin_mmdet.models.watched_model import WatchedModel
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.memory_format import is_channels_last
from swin_mmdet.ops.tracing import is_traced

# a kind of image is recorded when it came this often among the last images
TIMES, LAST = 3, 64
# recordings that are kept, of training and of inference: beyond the memory of one step, each has its images and maps
LIMITS = {True: 4, False: 8}
# calls for which a recording must have been idle before another takes its room: recording costs as much as many steps
IDLE = 1000
# above about four images of 800x1344 the GPU is slower than the launches, and memory the scarcer good
MAX_PIXELS = 5 * 2**20


class _Step:
    """One use of a recording, from its forward to its backward; whoever holds it may still want the latter."""

    done = False


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
        self.lock = threading.RLock()
        self._step: weakref.ref | None = None
        self._forget()

    def _forget(self) -> None:
        self._watched: WatchedModel | None = None
        self._recorder = StepRecorder()
        self._recordings: dict[tuple, Recording] = {}
        self._calls = 0
        self._kinds: deque[tuple] = deque(maxlen=LAST)
        self._stream: int | None = None

    def accepts(self, image: Tensor) -> bool:
        """Whether this call may be replayed: nobody watches its operations, and it is small."""
        return (
            not self._failed
            and type(image) is Tensor
            and image.is_cuda
            and not image.requires_grad
            and 0 < image.shape[0] * image.shape[2] * image.shape[3] <= MAX_PIXELS
            # a trace cannot ask the others
            and not is_traced()
            and not torch.cuda.is_current_stream_capturing()
        )

    def __call__(self, model: nn.Module, forward: Forward, image: Tensor, scales: Tensor | None) -> tuple[Tensor, ...]:
        """`forward(image, scales)` of a model whose parameters get gradients, if they want them, and nothing else."""
        with self.lock:
            return self._run(model, forward, image, scales)

    def _run(self, model: nn.Module, forward: Forward, image: Tensor, scales: Tensor | None) -> tuple[Tensor, ...]:
        if self._watched is None or not self._watched.is_of(model):
            self._forget()
            self._watched = WatchedModel(model)
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
            reason = self._why_not_recorded(model, self._watched, image)
            if reason is not None:
                log_once(f'CUDA graphs are not used: {reason}')
                return forward(image, scales)
            if not self._make_room(bool(trained)):
                return forward(image, scales)
            recording = self._record(self._watched, forward, image, scales, autocast, training=bool(trained))
            if recording is None:
                return forward(image, scales)
            self._recordings[kind] = recording
        recording.last_call = self._calls
        if trained:
            return _Replay.apply(self, recording, image, scales, *trained)
        return recording.replay_forward(image, scales)

    def _why_not_recorded(self, model: nn.Module, watched: WatchedModel, image: Tensor) -> str | None:
        if watched.is_touched():
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

    def start_step(self) -> _Step:
        """Of training: until it is done, or nobody can finish it, the memory of the recordings is its own."""
        step = _Step()
        self._step = weakref.ref(step)
        return step

    def is_current(self, step: _Step) -> bool:
        return self._step is not None and self._step() is step

    def _record(
        self,
        watched: WatchedModel,
        forward: Forward,
        image: Tensor,
        scales: Tensor | None,
        autocast: torch.dtype | bool,
        *,
        training: bool,
    ) -> Recording | None:
        try:
            return self._recorder.record(watched, forward, image, scales, autocast, training=training)
        except RuntimeError as error:
            self._forget()
            self._failed = True
            print_log(f'CUDA graphs are switched off: recording failed with {error}', 'current', level=logging.WARNING)
            return None

    def __deepcopy__(self, _memo: dict) -> 'StepGraphs':
        return StepGraphs()

    def __reduce__(self) -> tuple:
        return StepGraphs, ()


class _Replay(torch.autograd.Function):
    @staticmethod
    def forward(ctx, graphs, recording, image, scales, *_trained):
        ctx.graphs, ctx.recording, ctx.step = graphs, recording, graphs.start_step()
        ctx.set_materialize_grads(False)
        maps = recording.replay_forward(image, scales)
        ctx.mark_non_differentiable(*(x for index, x in enumerate(maps) if index not in recording.map_grads))
        return maps

    @staticmethod
    @once_differentiable
    def backward(ctx, *map_grads):
        if not ctx.graphs.is_current(ctx.step):
            raise RuntimeError(
                'backward through a step of the backbone whose memory a later step has taken, with cuda_graphs=True; '
                'set cuda_graphs=False for such a training'
            )
        with ctx.graphs.lock:
            gradients = ctx.recording.replay_backward(map_grads)
        ctx.step.done = True
        return None, None, None, None, *gradients

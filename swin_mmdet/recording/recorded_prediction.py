"""Predictions of a two-stage detector by replay, where nothing but its own parts would run."""

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.structures import DetDataSample
from mmengine.logging import print_log
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.fixed_prediction import FixedDetections, Numbers, predict_in_room, to_results
from swin_mmdet.detectors.image_sizes import image_shapes, inverse_factors, scale_factors
from swin_mmdet.detectors.prediction import Metas
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.memory_format import is_channels_last
from swin_mmdet.ops.to_device import NewTensors, constant_like, to_device
from swin_mmdet.ops.tracing import is_traced
from swin_mmdet.recording.capture import Capture
from swin_mmdet.recording.image_memory import ImageMemory
from swin_mmdet.recording.pending_instances import PendingBatch
from swin_mmdet.recording.recordable import why_not_predictable
from swin_mmdet.recording.same_model import SameModel
from swin_mmdet.recording.side_stream import SideStream
from swin_mmdet.structures import PredictionBatch

# a kind of batch is recorded when it came this often among the last batches, before the backbone alone would be
TIMES, LAST = 2, 128
# candidates of each class of an image that there is room for, at first and at a time: trained detectors have fewer
STEP = 256
# recordings that are kept: beyond the memory of one step, each has its detections
MAX_KINDS = 32


class Inputs:
    """The memory from which recordings of one kind of batch read."""

    def __init__(self, images: Tensor) -> None:
        self.images = images
        self.batch = PredictionBatch(
            torch.zeros(len(images), 2, device=images.device), *torch.zeros(2, len(images), 4, device=images.device)
        )

    def fill(self, images: Tensor, metas: Sequence[dict]) -> None:
        self.images.copy_(images)
        batch = self.batch
        batch.image_sizes.copy_(image_shapes(metas, batch.image_sizes))
        batch.scale_factors.copy_(to_device(scale_factors(metas), batch.scale_factors))
        batch.inverse_factors.copy_(to_device(inverse_factors(metas), batch.inverse_factors))


@dataclass
class PredictionRecording:
    """A CUDA graph of `run_prediction`, what its replays fill, and what they read."""

    graph: torch.cuda.CUDAGraph
    found: FixedDetections
    read: list[object] = field(default_factory=list)

    def replay(self) -> FixedDetections:
        """The caller's own."""
        self.graph.replay()
        return self.found.clone()


def run_prediction(
    model: TwoStageDetector, inputs: Inputs, rescale: bool, autocast: torch.dtype | None, room: int
) -> FixedDetections:
    """mmdet's `predict` of a batch on the device, without a wait for it."""
    # weights are not kept in low precision, which a replay would read whatever becomes of them; and tensors are plain,
    # because what is recorded in torch.inference_mode must serve torch.no_grad
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast('cuda', autocast, enabled=autocast is not None, cache_enabled=False),
        NewTensors(constant_like),
    ):
        samples = inputs.batch.samples(tuple(inputs.images.shape[2:]))
        x = model.extract_feat(inputs.images)
        proposals = model.rpn_head.predict(x, samples, rescale=False)
        metas = [sample.metainfo for sample in samples]
        return predict_in_room(model.roi_head, x, inputs.batch, metas, proposals, rescale, room)


def predict_plainly(
    model: TwoStageDetector, images: Tensor, metas: Metas, rescale: bool, autocast: torch.dtype | None
) -> list[InstanceData]:
    """The detections of each image, as mmdet finds them."""
    samples = [DetDataSample(metainfo=meta) for meta in metas]
    with torch.no_grad(), torch.autocast('cuda', autocast, enabled=autocast is not None):
        x = model.extract_feat(images)
        return model.roi_head.predict(x, model.rpn_head.predict(x, samples, rescale=False), samples, rescale=rescale)


class RecordedPrediction:
    """A detector's predictions, recorded for batches of a size that comes again.

    Without a gradient, of a batch on a GPU, all from the images to boxes, scores, labels and small masks is one launch
    of a CUDA graph; masks are pasted outside. The detections are those of the plain way. They are fetched when somebody
    looks at them or when the next batch has been launched, so that the GPU need not wait for what the host does with
    them. A recording has room for so many candidates: a batch with more is predicted without, and later recordings have
    room for it. What must not be recorded is predicted as ever, and the log says why. Weights may change in place at
    any time; when a module, a hook, a setting or the memory of a weight is another than before, all recordings are
    dropped, and a training that goes on has their memory. Copies of the object start without recordings.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._failed = False
        self._room = STEP
        self._kinds: dict[tuple, tuple[Inputs, PredictionRecording]] = {}
        # the batch that was launched last, as long as somebody may look at it
        self._pending: weakref.ref[PendingBatch] | None = None
        self._beside = SideStream()
        self.forget()

    def forget(self) -> None:
        """Give all recordings and their memory back."""
        self._fetch_pending()
        self._same: SameModel | None = None
        self._reason: str | None = None
        self._names: deque[tuple] = deque(maxlen=LAST)
        self._drop_recordings()

    def _drop_recordings(self) -> None:
        had = bool(self._kinds)
        self._capture, self._images, self._kinds = Capture(), ImageMemory(), {}
        if had and torch.cuda.is_initialized():
            # else the allocator keeps it for recordings that are no more
            torch.cuda.empty_cache()

    def __call__(
        self, model: TwoStageDetector, images: Tensor, samples: Sequence[DetDataSample], rescale: bool
    ) -> Sequence[InstanceData] | None:
        """The detections of each image; None where they are to be found without recordings."""
        if self._failed or not may_be_recorded(model, images, samples):
            return None
        with self._lock:
            return self._run(model, images, samples, rescale)

    def _run(
        self, model: TwoStageDetector, images: Tensor, samples: Sequence[DetDataSample], rescale: bool
    ) -> Sequence[InstanceData] | None:
        autocast = torch.get_autocast_dtype('cuda') if torch.is_autocast_enabled('cuda') else None
        matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        name = (images.shape, is_channels_last(images), images.dtype, images.device, autocast, rescale, matmul, cudnn)
        self._names.append(name)
        # only then, for walks over the model would cost every image of another size
        if name not in self._kinds and self._names.count(name) < TIMES:
            return None
        if self._same is None or not self._same.is_still(model):
            self._start(model)
        if self._reason is not None:
            log_once(f'predictions are not recorded: {self._reason}')
            return None
        metas = [sample.metainfo for sample in samples]
        kind = self._kinds.pop(name, None) or self._record(model, images, metas, rescale, autocast)
        if kind is None:
            return None
        # the last that came stands last
        self._kinds[name] = kind
        inputs, recording = kind
        inputs.fill(images, metas)
        found = recording.replay()
        plainly = partial(predict_plainly, model, images, metas, rescale, autocast)
        launched = self._beside.mark(images.device)
        fetch = partial(
            self._fetch, model.roi_head, found, Numbers(found), launched, self._room, metas, rescale, plainly
        )
        batch = PendingBatch(fetch, self._lock)
        self._fetch_pending()
        self._pending = weakref.ref(batch)
        return batch.instances(len(samples))

    def _fetch_pending(self) -> None:
        pending, self._pending = self._pending, None
        batch = None if pending is None else pending()
        if batch is not None:
            batch.found()

    def _fetch(
        self, head: nn.Module, found: FixedDetections, numbers: Numbers, launched: torch.cuda.Event | None,
        room: int, metas: Metas, rescale: bool, plainly: Callable[[], list[InstanceData]],
    ) -> list[InstanceData]:
        most, counts, boxes = numbers.wait()
        if most <= room:
            with torch.no_grad(), self._beside.after(launched):
                return to_results(head, found, counts, boxes, metas, rescale)
        if most > self._room:
            # and for a quarter more in the next image
            self._room = STEP * -(-most * 5 // (4 * STEP))
            self._drop_recordings()
        return plainly()

    def _start(self, model: TwoStageDetector) -> None:
        names = self._names
        self.forget()
        self._names = names
        self._same = SameModel(model)
        self._reason = why_not_predictable(model)
        if self._reason is None and self._same.watched.is_touched():
            self._reason = 'a module has hooks or a forward of its own'
        if self._reason is None and any(module.training for module in model.modules()):
            self._reason = 'a module is in training mode'

    def _record(
        self, model: TwoStageDetector, images: Tensor, metas: Sequence[dict], rescale: bool,
        autocast: torch.dtype | None,
    ) -> tuple[Inputs, PredictionRecording] | None:
        if len(self._kinds) >= MAX_KINDS:
            del self._kinds[next(iter(self._kinds))]
        # plain tensors, which may be written both in torch.inference_mode and outside
        with torch.inference_mode(False):
            inputs = Inputs(self._images.room_for(images))
        inputs.fill(images, metas)
        try:
            # what is made at a first run, such as the workspaces of libraries, is made outside the recording
            step = partial(run_prediction, model, inputs, rescale, autocast, self._room)
            step()
            graph = self._capture(step, images.device)
        except RuntimeError as error:
            self.forget()
            self._failed = True
            print_log(f'predictions are not recorded any more: {error}', 'current', logging.WARNING)
            return None
        log_once('predictions for batches whose size comes again are replayed as CUDA graphs')
        return inputs, PredictionRecording(*graph)

    def __deepcopy__(self, _memo: dict) -> 'RecordedPrediction':
        return RecordedPrediction()

    def __reduce__(self) -> tuple:
        return RecordedPrediction, ()


def may_be_recorded(model: TwoStageDetector, images: Tensor, samples: Sequence[DetDataSample]) -> bool:
    """Whether a call asks for no more than detections, of images on a GPU."""
    return (
        not is_traced()
        and is_on_gpu(images)
        and not model.training
        # of nn.DataParallel, made anew for each batch without parameters of its own
        and '_is_replica' not in vars(model)
        and not torch.is_grad_enabled()
        and bool(samples)
        and not any('proposals' in sample or sample.get('flip') for sample in samples)
    )


def is_on_gpu(images: Tensor) -> bool:
    """Whether images are on a GPU that is not recording."""
    return type(images) is Tensor and images.is_cuda and not torch.cuda.is_current_stream_capturing()

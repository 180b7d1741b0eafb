"""Training steps of a detector by replay, where nothing but its own parts would run."""

import logging
from collections.abc import Callable

import torch
import torch.distributed as dist
from mmdet.structures import DetDataSample
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import Tensor

from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.memory_format import is_channels_last
from swin_mmdet.recording.batch_sizes import BatchSizes
from swin_mmdet.recording.gradients import Gradients
from swin_mmdet.recording.image_memory import ImageMemory
from swin_mmdet.recording.recordable import why_not_batch, why_not_recordable
from swin_mmdet.recording.same_model import SameModel
from swin_mmdet.recording.static_inputs import Room, StaticInputs, room_for
from swin_mmdet.recording.training_step import Kind, Results, TrainingStepRecorder, run_step

WRAPPERS = OptimWrapper, AmpOptimWrapper
Step = Callable[..., dict[str, Tensor]]


class RecordedTraining:
    """Stands for a detector's `train_step`.

    A step whose kind has been recorded is one launch of a CUDA graph, from the batch on the GPU to the gradients; the
    optimizer follows as ever, and so does whatever looks at gradients or weights between steps. A kind is a size of
    batch, see `BatchSizes`, and room for objects. The model's first step runs the same operations without a graph.
    Weights may change in place at any time. When a module, a hook, a setting or the memory of a weight is another than
    before, all recordings are dropped. Where a step must not be recorded it runs as ever, and the log says why.
    With several processes each has recordings for its own batches, and gradients are averaged when a step is done,
    whether it was replayed or not.

    Args:
        model: with a preprocessor of this package.
        plain: its own `train_step`.
        max_waste: see `BatchSizes`.
        max_kinds: recordings that are kept; the one that was idle longest makes room for another.
        group: the processes that train the model, if there are several.
    """

    def __init__(
        self, model: BaseModel, plain: Step, max_waste: float, max_kinds: int, group: dist.ProcessGroup | None = None
    ) -> None:
        self.model, self.plain = model, plain
        self._group = group
        self.max_waste, self.max_kinds = max_waste, max_kinds
        self._failed = False
        self._start_anew()

    def _start_anew(self) -> None:
        self._same = SameModel(self.model)
        self._watched = self._same.watched
        self._reason = self._why_never()
        self._recorder = TrainingStepRecorder()
        self._has_run = False
        self._gradients: Gradients | None = None
        self._kinds: dict[tuple, Kind] = {}
        self._inputs: dict[Room, StaticInputs] = {}
        self._images = ImageMemory()
        self._sizes = BatchSizes(self.max_waste)

    def __call__(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """As `BaseModel.train_step`: what is logged."""
        for_all = why_not_stepped(optim_wrapper)
        reason = for_all or self._why_not_recorded()
        # where there are other processes, which may record this step, all average gradients in the same way
        if for_all is not None or (reason is not None and self._group is None):
            log_once(f'training steps are not recorded: {reason}')
            return self.plain(data, optim_wrapper=optim_wrapper)
        with optim_wrapper.optim_context(self.model):
            sizes = {} if reason is not None else {'fit_size': self._sizes.fit}
            batch = self.model.data_preprocessor(data, True, **sizes)
        images, samples = batch['inputs'], batch['data_samples']
        results = None
        reason = reason or why_not_batch(self.model, images, samples)
        if reason is not None:
            log_once(f'a training step is not recorded: {reason}')
        else:
            results = self._run_in_memory(images, samples, optim_wrapper)
        if results is None:
            return self._run_plainly(batch, optim_wrapper)
        optim_wrapper._inner_count += 1
        self._update(results.gradients, optim_wrapper)
        return dict(zip(results.names, results.values.unbind(), strict=True))

    def _why_never(self) -> str | None:
        """None when steps of the model as it is may be recorded, else why in words."""
        reason = why_not_recordable(self.model)
        if reason is None and self._watched.is_touched():
            return 'a module has hooks or a forward of its own'
        if reason is None and any(x._backward_hooks or x._post_accumulate_grad_hooks for x in self._watched.parameters):
            return 'a parameter has hooks'
        return reason

    def _why_not_recorded(self) -> str | None:
        if self._failed:
            return 'it was given up'
        if not self._same.is_still(self.model):
            self._start_anew()
        return self._reason

    def _run_plainly(self, batch: dict, wrapper: OptimWrapper) -> dict[str, Tensor]:
        """mmengine's `train_step` after its first line."""
        with wrapper.optim_context(self.model):
            losses = self.model._run_forward(batch, mode='loss')
        total, logged = self.model.parse_losses(losses)
        if self._group is None:
            wrapper.update_params(total)
        else:
            wrapper.backward(wrapper.scale_loss(total))
            self._update(self._memory().keep([x.grad for x in self._watched.trained()]), wrapper)
        return logged

    def _update(self, gradients: list[Tensor | None], wrapper: OptimWrapper) -> None:
        """Of the weights, by what `_memory` keeps."""
        self._memory().average()
        for parameter, gradient in zip(self._watched.trained(), gradients, strict=True):
            parameter.grad = gradient
        wrapper.step()
        wrapper.zero_grad()

    def _memory(self) -> Gradients:
        if self._gradients is None:
            self._gradients = Gradients(self._watched.trained(), self._group)
        return self._gradients

    def _run_in_memory(self, images: Tensor, samples: list[DetDataSample], wrapper: OptimWrapper) -> Results | None:
        """None when the GPU's memory does not hold a step beside the recordings, which are then gone."""
        try:
            return self._run(images, samples, wrapper)
        except torch.OutOfMemoryError:
            if not any(kind.recording for kind in self._kinds.values()):
                raise
        self._give_up('they need the memory of a step')
        torch.cuda.empty_cache()
        return None

    def _give_up(self, reason: str) -> None:
        # of a step that goes on
        gradients = self._gradients
        self._start_anew()
        self._gradients, self._failed = gradients, True
        print_log(f'training steps are not recorded any more: {reason}', 'current', logging.WARNING)

    def _run(self, images: Tensor, samples: list[DetDataSample], wrapper: OptimWrapper) -> Results:
        kind = self._kind_of(images, samples)
        kind.fill(images, samples)
        gradients = self._memory()
        # to record a step takes as long as to run it, once a step has made what all of them need
        if kind.recording is None and self._has_run:
            self._record(kind, wrapper, gradients)
        if kind.recording is not None:
            return kind.recording.replay()
        results = run_step(self.model, wrapper, kind, self._watched.trained(), gradients)
        self._has_run = kind.has_run = True
        return results

    def _kind_of(self, images: Tensor, samples: list[DetDataSample]) -> Kind:
        room = room_for(samples)
        name = (*images.shape, is_channels_last(images), images.dtype, room)
        kind = self._kinds.pop(name, None)
        if kind is None:
            if room not in self._inputs:
                self._inputs[room] = StaticInputs(room, images.device)
            kind = Kind(self._images.room_for(images), self._inputs[room])
            if len(self._kinds) >= self.max_kinds:
                del self._kinds[next(iter(self._kinds))]
        # the last that came stands last
        self._kinds[name] = kind
        return kind

    def _record(self, kind: Kind, wrapper: OptimWrapper, gradients: Gradients) -> None:
        try:
            kind.recording = self._recorder.record(self.model, wrapper, kind, self._watched, gradients)
        except RuntimeError as error:
            # a step that has not run may need something that cannot be made while it is recorded
            if kind.has_run:
                self._give_up(f'it failed with {error}')
            return
        log_once('training steps are replayed as CUDA graphs')


def why_not_stepped(wrapper: OptimWrapper) -> str | None:
    """None when what follows the gradients is a step of the optimizer, else why not in words."""
    if type(wrapper) not in WRAPPERS:
        return f'the optimizer is in a {type(wrapper).__name__}'
    return 'gradients are accumulated' if wrapper._accumulative_counts != 1 else None

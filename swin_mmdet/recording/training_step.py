"""A training step up to its gradients, from static inputs: run as it is, or recorded and replayed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import Tensor

from swin_mmdet.models.watched_model import WatchedModel
from swin_mmdet.ops.pointwise_conv import PointwiseProducts
from swin_mmdet.ops.to_device import NewTensors, constant_like
from swin_mmdet.recording.capture import Capture
from swin_mmdet.recording.gradients import Gradients
from swin_mmdet.recording.static_inputs import StaticInputs


@dataclass
class Results:
    """Of a step.

    Attributes:
        names: of what is logged, the whole loss first.
        values: [n] float32.
        gradients: of the trained parameters, None of one that no loss depends on.
    """

    names: tuple[str, ...]
    values: Tensor
    gradients: list[Tensor | None]


@dataclass
class Kind:
    """Steps of one shape, with the memory that they read."""

    images: Tensor
    inputs: StaticInputs
    has_run: bool = False
    recording: 'StepRecording | None' = None

    def fill(self, images: Tensor, samples: Sequence) -> None:
        self.images.copy_(images)
        self.inputs.fill(samples)


def run_step(
    model: BaseModel, wrapper: OptimWrapper, kind: Kind, trained: Sequence[Tensor], gradients: Gradients
) -> Results:
    """mmengine's `train_step` from a batch on the device to the gradients of `trained`, without a wait for a GPU."""
    size = tuple(kind.images.shape[2:])
    with wrapper.optim_context(model), PointwiseProducts(), NewTensors(constant_like):
        samples = kind.inputs.batch(size).samples(size)
        losses = model._run_forward({'inputs': kind.images, 'data_samples': samples}, mode='loss')
    total, logged = model.parse_losses(losses)
    scaler = getattr(wrapper, 'loss_scaler', None)
    found = torch.autograd.grad(total if scaler is None else scaler.scale(total), trained, allow_unused=True)
    values = torch.stack([x.detach().float().reshape(()) for x in logged.values()])
    return Results(tuple(logged), values, gradients.keep(found))


@dataclass
class StepRecording:
    """A CUDA graph of `run_step`, the tensors that its replays fill, and those that they read."""

    graph: torch.cuda.CUDAGraph
    results: Results
    read: list[object] = field(default_factory=list)

    def replay(self) -> Results:
        """Gradients are those of all recordings, the caller's until the next replay; values are its own."""
        self.graph.replay()
        return Results(self.results.names, self.results.values.clone(), self.results.gradients)


class TrainingStepRecorder:
    """Its recordings share the memory of one step."""

    def __init__(self) -> None:
        self._capture = Capture()

    def record(
        self, model: BaseModel, wrapper: OptimWrapper, kind: Kind, watched: WatchedModel, gradients: Gradients
    ) -> StepRecording:
        """When a step has run, best one of this kind, so that all it needs to be made once has been made.

        Raises:
            RuntimeError: something in the step cannot be recorded.
        """
        with watched.stand_ins() as trained:
            step = partial(run_step, model, wrapper, kind, trained, gradients)
            return StepRecording(*self._capture(step, kind.images.device))

"""Training steps on a GPU as CUDA graphs, for any runner."""

from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from swin_mmdet.detectors.atss_head import ATSSHead
from swin_mmdet.ops.log import log_once
from swin_mmdet.recording.recordable import why_not_detector, why_not_recordable
from swin_mmdet.recording.recorded_training import RecordedTraining
from swin_mmdet.registry import HOOKS


@HOOKS.register_module()
class RecordStepsHook(Hook):
    """Whole steps of a detector of this package's parts are recorded and replayed: see `RecordedTraining`.

    A recording stands for one size of batch, so batches are padded to a few sizes, with what their smaller images are
    padded with as it is. `cuda_graphs=False` of the backbone ends all this.

    Args:
        max_waste: the most pixels that a batch is padded by, as a share of its own; 0 for none.
        max_kinds: recordings that are kept, one for each size; with 0 all this is off.
    """

    # before hooks that stand around a step
    priority = 'HIGH'

    def __init__(self, max_waste: float = 1.0, max_kinds: int = 96) -> None:
        self.max_waste, self.max_kinds = max_waste, max_kinds

    def before_train(self, runner: Runner) -> None:
        if not self.max_kinds or not next(runner.model.parameters()).is_cuda:
            return
        wrapped, group = runner.model, None
        model = wrapped
        if is_model_wrapper(wrapped):
            model, group = wrapped.module, getattr(wrapped, 'process_group', None)
        if 'train_step' in vars(wrapped):
            log_once('training steps are not recorded: the model has a train_step of its own, or a compiled one')
            return
        reason = why_not_detector(model)
        if reason is None and wrapped is not model:
            reason = why_not_averaged(wrapped) or why_not_recordable(model)
        if reason is not None:
            log_once(f'training steps are not recorded: {reason}')
            return
        wrapped.train_step = RecordedTraining(model, wrapped.train_step, self.max_waste, self.max_kinds, group)

    def after_train(self, runner: Runner) -> None:
        if isinstance(vars(runner.model).get('train_step'), RecordedTraining):
            del runner.model.train_step


def why_not_averaged(wrapped: nn.Module) -> str | None:
    """None when a wrapper of a model does no more than to average gradients over processes, else why in words."""
    if type(wrapped) is not MMDistributedDataParallel:
        return f'they are those of {type(wrapped).__name__}'
    for option in ('find_unused_parameters', 'detect_anomalous_params'):
        if getattr(wrapped, option):
            return f'{option}=True of MMDistributedDataParallel'
    # processes record at different times, and a recording may not wait for another
    if any(isinstance(one, ATSSHead) for one in wrapped.module.modules()):
        return 'an ATSSHead averages over processes'
    if wrapped.broadcast_buffers and any(True for _ in wrapped.module.buffers()):
        return 'broadcast_buffers=True of MMDistributedDataParallel'
    return 'MMDistributedDataParallel has a communication hook' if wrapped._comm_hooks else None

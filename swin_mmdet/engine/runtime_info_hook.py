"""Losses and norms of gradients reach the log without a wait for the GPU in every step."""

from collections.abc import Iterable

import torch
from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.hooks import RuntimeInfoHook as MMEngineRuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from swin_mmdet.registry import HOOKS


@HOOKS.register_module()
class RuntimeInfoHook(MMEngineRuntimeInfoHook):
    """mmengine's hook, whose message hub has the same values whenever a log is written, a model saved or evaluated.

    Between them losses and the norms that clipping finds wait on the GPU: reading one would let it run dry in every
    step.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[dict] = []
        self._norm: dict = {}
        self._logged: list[int] = []
        self._saved: list[int] = []

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self._logged = [hook.interval for hook in runner.hooks if isinstance(hook, LoggerHook)]
        # one that saves by epoch comes after the end of the epoch
        savers = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
        self._saved = [hook.interval for hook in savers if not hook.by_epoch]
        if getattr(runner.optim_wrapper, 'clip_func', None) is clip_grad_norm_:
            runner.optim_wrapper.clip_func = self._clip

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        del data_batch
        found = self._norm | (outputs or {})
        # the graph behind a loss is hundreds of KiB of nodes, and what functions have noted in them
        self._waiting.append({name: x.detach() if torch.is_tensor(x) else x for name, x in found.items()})
        self._norm = {}
        if (
            any(self.every_n_inner_iters(batch_idx, interval) for interval in self._logged)
            or any(self.every_n_train_iters(runner, interval) for interval in self._saved)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
            or self.is_last_train_iter(runner)
        ):
            self._deliver(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        self._deliver(runner)
        super().after_train_epoch(runner)

    def before_val(self, runner: Runner) -> None:
        self._deliver(runner)
        super().before_val(runner)

    def after_train(self, runner: Runner) -> None:
        self._deliver(runner)
        super().after_train(runner)

    def _clip(self, parameters: Iterable[Tensor], **options) -> None:
        """`clip_grad_norm_`, whose result mmengine would read at once."""
        self._norm = {'grad_norm': clip_grad_norm_(parameters, **options)}

    def _deliver(self, runner: Runner) -> None:
        """What waits, to the message hub, in one wait for the GPU."""
        tensors = [x.float().reshape(()) for one in self._waiting for x in one.values() if torch.is_tensor(x)]
        numbers = iter(torch.stack(tensors).tolist() if tensors else ())
        for one in self._waiting:
            for name, value in one.items():
                runner.message_hub.update_scalar(f'train/{name}', next(numbers) if torch.is_tensor(value) else value)
        self._waiting.clear()

"""Averaged weights, with a line in the log that says which ones are evaluated."""

from typing import Any

from mmengine.hooks import EMAHook as MMEngineEMAHook
from mmengine.logging import print_log
from mmengine.runner import Runner

from swin_mmdet.registry import HOOKS


@HOOKS.register_module()
class EMAHook(MMEngineEMAHook):
    """mmengine's hook, of the same arguments: an average of the weights is evaluated and saved, the raw ones train.

    Under gradient accumulation it averages once for each step of the optimizer, not for each iteration.
    """

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        print_log(
            f'{type(self.ema_model).__name__}: averaged weights are evaluated and are the `state_dict` of '
            'checkpoints, which test.py and predict.py take; the raw ones are in `ema_state_dict`, for --resume',
            'current',
        )

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        if runner.optim_wrapper.should_update():
            super().after_train_iter(runner, *args, **kwargs)

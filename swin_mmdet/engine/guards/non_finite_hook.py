"""Steps whose gradients are no numbers are left out; weights that are none end a run before they are saved.

mmdet's hook looks at the loss of every fiftieth step, and ends with an assertion that says nothing.
"""

from collections.abc import Iterable, Sequence

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.optim import Optimizer

from swin_mmdet.engine.guards.first_non_finite import first_non_finite, weights_non_finite
from swin_mmdet.engine.guards.image_names import image_names
from swin_mmdet.engine.guards.late_flags import LateFlags
from swin_mmdet.engine.saving.checkpoint_hook import checkpoint_hook
from swin_mmdet.errors import UserError
from swin_mmdet.registry import HOOKS


@HOOKS.register_module()
class NonFiniteHook(Hook):
    """Leaves out, counts and tells steps of the optimizer with NaN or infinity in a gradient.

    The check is on the device and read some steps late, so nothing waits for it: a fused optimizer is told by it, and
    so is mmengine's AmpOptimWrapper by its own. Other optimizers on a GPU have to wait for it in every step.

    Args:
        most: so many steps in a row are left out; one more ends the run. The scale of a loss in float16 finds its
            size in some steps at the beginning.
        interval: steps between two looks at the weights.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self, most: int = 20, interval: int = 50) -> None:
        self.most, self.interval = most, interval
        self.skipped = 0
        self._in_a_row = 0
        self._flags, self._weights = LateFlags(), LateFlags()
        self._flag: Tensor | None = None
        self._tells = False
        self._handles = []

    def before_train(self, runner: Runner) -> None:
        if not isinstance(runner.optim_wrapper, OptimWrapper):
            runner.logger.warning('several optimizers: their gradients are not checked for NaN')
            return
        optimizer = runner.optim_wrapper.optimizer
        self._handles = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        ]
        # in which a loss scale, or this hook, tells it on the device to leave out a step
        self._told = bool(getattr(optimizer, '_step_supports_amp_scaling', False))
        if not self._told and next(iter(optimizer.param_groups[0]['params'])).is_cuda:
            runner.logger.info(f'{type(optimizer).__name__} is not fused: each step waits for the check of its '
                               'gradients (optim_wrapper.optimizer.fused=True, if it has that)')  # fmt: skip

    def _before_step(self, optimizer: Optimizer, *_) -> None:
        scaled = getattr(optimizer, 'found_inf', None)
        if scaled is not None:
            self._flag = scaled
            return
        parameters = [one for group in optimizer.param_groups for one in group['params'] if _has_gradient(one)]
        if not parameters:
            return
        self._flag = any_non_finite([one.grad for one in parameters])
        if self._told:
            optimizer.found_inf, self._tells = self._flag.float(), True
        elif self._flag.item():
            for one in parameters:
                one.grad = None

    def _after_step(self, optimizer: Optimizer, *_) -> None:
        # a loss scale removes its own
        if self._tells:
            del optimizer.found_inf
            self._tells = False

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        del batch_idx, outputs
        if not self._handles:
            return
        wrapper, iteration = runner.optim_wrapper, runner.iter + 1
        if wrapper.should_update():
            # without a step, the loss scale has left it out
            flag = torch.tensor(True) if self._flag is None else self._flag
            self._flags.put(flag, (iteration, image_names(data_batch)))
            self._flag = None
        if self.every_n_train_iters(runner, self.interval):
            self._weights.put(any_non_finite(trained(runner)), iteration)
        for bad, (at, images) in self._flags.take():
            self._count(runner, bad, at, images, data_batch)
        for bad, at in self._weights.take():
            if bad:
                self._end(runner, at, 'its weights hold NaN or infinity', image_names(data_batch), data_batch)

    def after_train(self, runner: Runner) -> None:
        for handle in self._handles:
            handle.remove()
        if self.skipped:
            runner.logger.warning(f'{self.skipped} steps of the optimizer were left out: NaN or infinity in a gradient')

    def _count(self, runner: Runner, bad: bool, at: int, images: Sequence[str], data_batch: dict | None) -> None:
        if not bad:
            self._in_a_row = 0
            return
        self.skipped += 1
        self._in_a_row += 1
        runner.logger.warning(f'iteration {at}: a gradient holds NaN or infinity, its step is left out '
                              f'({self.skipped} so far); images: {", ".join(images)}')  # fmt: skip
        # seldom enough to wait for it
        if weights_non_finite(_model(runner)):
            self._end(runner, at, 'its weights hold NaN or infinity', images, data_batch)
        if self._in_a_row > self.most:
            what = f'{self._in_a_row} steps in a row had NaN or infinity in a gradient'
            self._end(runner, at, what, images, data_batch)

    def _end(self, runner: Runner, at: int, what: str, images: Sequence[str], data_batch: dict | None) -> None:
        where = weights_non_finite(_model(runner)) or first_non_finite(_model(runner), data_batch)
        saver = checkpoint_hook(runner)
        if saver:
            saver.writer.wait()
        last = saver and saver.last_ckpt
        raise UserError(
            f'training ended in iteration {at}: {what}, first in {where}; images of that step: {", ".join(images)}; '
            + (f'the last good checkpoint is {last}' if last else 'no checkpoint was saved')
            + '. Look at these images and their boxes, or train with a lower learning rate or in float32 (--amp off)'
        )


def any_non_finite(tensors: Iterable[Tensor]) -> Tensor:
    """Whether one of them holds NaN or infinity, as a tensor of one element; nothing is copied."""
    # a norm of squares would overflow before the numbers do
    norms = torch._foreach_norm(list(tensors), float('inf'))
    return ~torch.stack([norm.float() for norm in norms]).isfinite().all()


def trained(runner: Runner) -> list[Tensor]:
    model = _model(runner)
    return [one.detach() for one in (*model.parameters(), *model.buffers()) if one.is_floating_point() and one.numel()]


def _model(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def _has_gradient(parameter: Tensor) -> bool:
    return parameter.grad is not None and parameter.numel() > 0

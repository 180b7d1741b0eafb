"""A GPU that runs out of memory: one message that says which batch did it, what helps, and a second try."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from torch import nn

from swin_mmdet.engine.resuming.process_state import generator_states, set_generator_states
from swin_mmdet.errors import UserError
from swin_mmdet.registry import HOOKS

GIB = 2**30


@HOOKS.register_module()
class OutOfMemoryHook(Hook):
    """Says what a step was made of that did not fit into the memory of the GPU.

    Args:
        retry: try such a step once more with activation checkpointing (`with_cp`) of every module that has it: the
            same result in less memory and more time. Not in several processes, which would wait for this one within
            the step, and not between two steps of an optimizer that accumulates gradients.
    """

    def __init__(self, retry: bool = False) -> None:
        self.retry, self.retried = retry, 0

    def before_train(self, runner: Runner) -> None:
        model, step = runner.model, runner.model.train_step

        def careful_step(data: dict, optim_wrapper: OptimWrapper) -> dict:
            states, count = generator_states() if self.retry else {}, optim_wrapper.inner_count
            try:
                return step(data, optim_wrapper=optim_wrapper)
            except torch.OutOfMemoryError as error:
                message = describe(runner, data, error)
            # here the frames of the failed step, which hold its memory, are gone
            fresh = optim_wrapper.inner_count == count and optim_wrapper.should_update()
            if not self.retry or runner.world_size > 1 or not fresh:
                raise UserError(message)
            self._second_try(runner, message, optim_wrapper, states)
            try:
                with checkpointing(model):
                    return step(data, optim_wrapper=optim_wrapper)
            except torch.OutOfMemoryError as error:
                message = describe(runner, data, error)
            raise UserError(f'{message} It was tried with activation checkpointing, too.')

        model.train_step = careful_step

    def after_train(self, runner: Runner) -> None:
        vars(runner.model).pop('train_step', None)

    def _second_try(self, runner: Runner, message: str, optim_wrapper: OptimWrapper, states: dict) -> None:
        self.retried += 1
        if self.retried == 1:
            runner.logger.warning(f'{message} The step is tried again with activation checkpointing.')
        optim_wrapper.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        set_generator_states(states)


def describe(runner: Runner, data: dict, error: torch.OutOfMemoryError) -> str:
    """The message for a step of this batch."""
    images = data.get('inputs', []) if isinstance(data, dict) else []
    sizes = ', '.join(sorted({'x'.join(map(str, image.shape)) for image in images}))
    memory = str(error).split('. ')[0]
    if torch.cuda.is_available():
        peak, total = torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties(0).total_memory
        memory = f'peak {peak / GIB:.1f} GiB of {total / GIB:.1f} GiB'
    half = len(images) // 2
    smaller = f'--batch-size {half} --accumulate 2 (the same result), ' if half else ''
    who = f'process {runner.rank}: ' if runner.world_size > 1 else ''
    return (
        f'{who}out of memory in iteration {runner.iter + 1}: a batch of {len(images)} images of {sizes} ({memory}). '
        f'What helps: {smaller}activation checkpointing (--cfg-options model.backbone.with_cp=True), --amp, smaller '
        'images (--img-scale).'
    )


@contextmanager
def checkpointing(model: nn.Module) -> Iterator[None]:
    """Every module that can recompute its activations in the backward pass does so."""
    inner = model.module if is_model_wrapper(model) else model
    modules = [module for module in inner.modules() if getattr(module, 'with_cp', None) is False]
    try:
        for module in modules:
            module.with_cp = True
        yield
    finally:
        for module in modules:
            module.with_cp = False

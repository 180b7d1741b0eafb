"""What a process of a run has beside the model: its random generators, and gradients between two optimizer steps."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def generator_states() -> dict:
    """Of Python, numpy, PyTorch and this process's GPU, in types that PyTorch's restricted loading allows."""
    of_numpy = np.random.get_state(legacy=False)
    keys = torch.from_numpy(of_numpy['state']['key'].astype(np.int64))
    states = dict(
        python=random.getstate(),
        numpy=dict(of_numpy, state=dict(of_numpy['state'], key=keys)),
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_initialized():
        states['cuda'] = torch.cuda.get_rng_state()
    return states


def set_generator_states(states: dict) -> None:
    random.setstate(states['python'])
    inner = states['numpy']['state']
    keys = inner['key'].cpu().numpy().astype(np.uint32)
    np.random.set_state(dict(states['numpy'], state=dict(inner, key=keys)))
    torch.set_rng_state(states['torch'].cpu())
    if 'cuda' in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states['cuda'].cpu())


@contextmanager
def generators_kept() -> Iterator[dict]:
    """All of them go on afterwards as if nothing had been drawn; gives their states."""
    states = generator_states()
    try:
        yield states
    finally:
        set_generator_states(states)


def process_state(runner: Runner) -> dict:
    """Of this process, for the checkpoint."""
    # an evaluation that goes on leaves no trace in the training after it
    held = getattr(runner.train_loop, 'held_generators', None)
    state = dict(generators=held or generator_states())
    if not runner.optim_wrapper.should_update():
        named = _model(runner).named_parameters()
        state['gradients'] = {name: one.grad.cpu() for name, one in named if one.grad is not None}
    return state


def set_process_state(runner: Runner, state: dict) -> None:
    set_generator_states(state['generators'])
    parameters = dict(_model(runner).named_parameters())
    for name, gradient in state.get('gradients', {}).items():
        parameters[name].grad = gradient.to(parameters[name])


def _model(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model

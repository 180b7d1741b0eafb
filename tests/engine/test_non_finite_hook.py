"""Gradients and weights that are no numbers: left out, counted, named."""

from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from swin_mmdet.engine.guards.late_flags import LateFlags
from swin_mmdet.engine.guards.non_finite_hook import any_non_finite
from swin_mmdet.errors import UserError

from . import tiny_run

OPTIMIZERS = {
    'plain': {},
    'fused': dict(optim_wrapper__optimizer__fused=True),
    'loss scale': dict(optim_wrapper__type='AmpOnCpu'),
    'loss scale, fused': dict(optim_wrapper__type='AmpOnCpu', optim_wrapper__optimizer__fused=True),
    'loss scale, fused, clipped': dict(
        optim_wrapper__type='AmpOnCpu',
        optim_wrapper__optimizer__fused=True,
        optim_wrapper__clip_grad=dict(max_norm=1.0),
    ),
    'clipped': dict(optim_wrapper__clip_grad=dict(max_norm=1.0)),
}


class BadGradients(Hook):
    """Makes a gradient infinite in these iterations."""

    def __init__(self, *iterations: int, weights: bool = False) -> None:
        self.iterations, self.weights = iterations, weights
        self.seen: dict[int, torch.Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        self.runner = runner
        runner.model.last.weight.register_hook(self._change)

    def _change(self, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * float('inf') if self.runner.iter + 1 in self.iterations else gradient

    def before_train_iter(self, runner: Runner, **_: object) -> None:
        if self.weights and runner.iter + 1 in self.iterations:
            runner.model.norm.weight.data[3] = float('nan')

    def after_train_iter(self, runner: Runner, **_: object) -> None:
        self.seen[runner.iter + 1] = runner.model.first.weight.detach().clone()


def train(work_dir: Path, hook: BadGradients, **changes: object) -> str:
    """Train with the guard; its log."""
    guard = dict(type='swin_mmdet.NonFiniteHook', most=3, interval=4)
    runner = tiny_run.build(work_dir, **changes, custom_hooks=[guard])
    runner.register_hook(hook)
    try:
        runner.train()
    finally:
        text = next(Path(runner.log_dir).glob('*.log')).read_text()
    return text


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_a_single_bad_step_is_left_out_and_counted(kind: str, tmp_path: Path):
    hook = BadGradients(6, 9)
    text = train(tmp_path, hook, **OPTIMIZERS[kind])
    for at in (6, 9):
        assert torch.equal(hook.seen[at], hook.seen[at - 1])
        assert not torch.equal(hook.seen[at + 1], hook.seen[at])
    assert 'iteration 6: a gradient holds NaN or infinity, its step is left out (1 so far); images: ' in text
    assert '2 steps of the optimizer were left out' in text
    # nor does the optimizer's memory know of it
    moments = torch.load(tmp_path / 'iter_20.pth', weights_only=True)['optimizer']['state'][0]
    assert moments['step'] == 18
    assert all(torch.isfinite(value).all() for value in moments.values())


@pytest.mark.parametrize('kind', OPTIMIZERS)
def test_too_many_in_a_row_end_the_run(kind: str, tmp_path: Path):
    with pytest.raises(UserError) as error:
        train(tmp_path, BadGradients(*range(7, 20)), **OPTIMIZERS[kind])
    assert 'training ended in iteration 10: 4 steps in a row had NaN' in str(error.value)
    assert 'first in the backward pass' in str(error.value)
    assert f'the last good checkpoint is {tmp_path}/iter_5.pth' in str(error.value)


def test_weights_that_are_no_numbers_are_named(tmp_path: Path):
    with pytest.raises(UserError) as error:
        train(tmp_path, BadGradients(7, weights=True))
    assert 'iteration 7: its weights hold NaN or infinity, first in the weights norm.weight; images' in str(error.value)
    assert 'iter_5.pth' in str(error.value)
    assert {path.name for path in tmp_path.glob('*.pth')} == {'iter_5.pth'}


def test_the_first_module_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.nn.BatchNorm1d, 'forward', lambda _, x: x / 0)
    with pytest.raises(UserError, match=r'first in the output of norm \(BatchNorm1d\)'):
        train(tmp_path, BadGradients())


def test_infinity_is_told_from_large_numbers():
    large = torch.full((3,), 3e38)
    assert not any_non_finite([large, torch.zeros(2)])
    assert any_non_finite([large, torch.tensor([0.0, float('-inf')])])
    assert any_non_finite([torch.tensor([float('nan'), 1.0]), large])


def test_flags_of_the_host_are_read_at_once():
    flags = LateFlags()
    flags.put(torch.tensor(True), 'one')
    flags.put(torch.tensor(0.0), 'two')
    assert flags.take() == [(True, 'one'), (False, 'two')]
    assert flags.take() == []

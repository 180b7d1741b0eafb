"""A step that does not fit into memory."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from swin_mmdet.engine.guards.out_of_memory_hook import describe
from swin_mmdet.errors import UserError

from . import tiny_run


class Recomputes(nn.Module):
    with_cp = False


def out_of_memory(monkeypatch: pytest.MonkeyPatch, fails: list[bool]) -> list[bool]:
    """Let the third step fail so often; in which tries activations were recomputed."""
    tries, real = [], tiny_run.TinyModel.forward

    def forward(self: tiny_run.TinyModel, *args: object, **options: object) -> object:
        losses = real(self, *args, **options)
        if self.training and len(self.seen) == 2 and fails:
            fails.pop()
            tries.append(self.part.with_cp)
            raise torch.OutOfMemoryError('Tried to allocate 2.00 GiB. GPU 0 has none')
        self.seen.append(1)
        return losses

    real_init = tiny_run.TinyModel.__init__

    def init(self: tiny_run.TinyModel) -> None:
        real_init(self)
        self.part, self.seen = Recomputes(), []

    monkeypatch.setattr(tiny_run.TinyModel, '__init__', init)
    monkeypatch.setattr(tiny_run.TinyModel, 'forward', forward)
    return tries


def options(**hook: object) -> dict:
    return dict(custom_hooks=[dict(type='WriteLosses'), dict(type='swin_mmdet.OutOfMemoryHook', **hook)])


def test_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    out_of_memory(monkeypatch, [True])
    with pytest.raises(UserError) as error:
        tiny_run.train(tmp_path, **options())
    assert str(error.value) == (
        'out of memory in iteration 3: a batch of 2 images of 4 (Tried to allocate 2.00 GiB). What helps: '
        '--batch-size 1 --accumulate 2 (the same result), activation checkpointing (--cfg-options '
        'model.backbone.with_cp=True), --amp, smaller images (--img-scale).'
    )


def test_the_message_on_a_gpu_has_its_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda: 15 * 2**29)
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda _: SimpleNamespace(total_memory=2**33))
    error, runner = torch.OutOfMemoryError('Tried'), SimpleNamespace(iter=0, world_size=1)
    images = [torch.zeros(3, 4, 6), torch.zeros(3, 5, 4), torch.zeros(3, 4, 6)]
    message = describe(runner, dict(inputs=images), error)
    assert 'a batch of 3 images of 3x4x6, 3x5x4 (peak 7.5 GiB of 8.0 GiB). What helps: --batch-size 1 -' in message
    for data in (dict(inputs=images[:1]), {}, None):
        assert f'a batch of {len(data["inputs"]) if data else 0} images' in describe(runner, data, error)
        assert 'What helps: activation' in describe(runner, data, error)


def test_a_second_try_is_the_same_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tiny_run.train(tmp_path / 'enough')
    tries = out_of_memory(monkeypatch, [True])
    runner = tiny_run.train(tmp_path / 'little', **options(retry=True))
    assert tries == [False]
    assert runner.model.part.with_cp is False
    assert tiny_run.losses(tmp_path / 'little') == tiny_run.losses(tmp_path / 'enough')


def test_a_second_try_that_fails_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tries = out_of_memory(monkeypatch, [True, True])
    with pytest.raises(UserError, match='It was tried with activation checkpointing, too'):
        tiny_run.train(tmp_path, **options(retry=True))
    assert tries == [False, True]

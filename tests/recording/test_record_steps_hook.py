"""Which runs have their steps recorded."""

from types import SimpleNamespace

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmengine.model import MMDistributedDataParallel, MMSeparateDistributedDataParallel
from torch import nn

from swin_mmdet.recording import RecordStepsHook, record_steps_hook
from swin_mmdet.recording.record_steps_hook import why_not_averaged


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def train_step(self, data):
        return data


@pytest.fixture
def made(monkeypatch):
    """A model that seems to be on a GPU, and the models that were to be recorded."""
    found = []

    class Recorded:
        def __init__(self, model, plain, *_):
            found.append((model, plain))

    monkeypatch.setattr(record_steps_hook, 'RecordedTraining', Recorded)
    known = record_steps_hook.why_not_detector
    monkeypatch.setattr(
        record_steps_hook, 'why_not_detector', lambda model: None if type(model) is Model else known(model)
    )
    monkeypatch.setattr(nn.Parameter, 'is_cuda', True, raising=False)
    return SimpleNamespace(runner=SimpleNamespace(model=Model()), found=found, cls=Recorded)


def test_a_step_on_a_gpu_is_recorded_until_the_training_ends(made):
    hook = RecordStepsHook()
    hook.before_train(made.runner)
    assert isinstance(made.runner.model.train_step, made.cls)
    assert made.found[0][1].__func__ is Model.train_step
    hook.after_train(made.runner)
    assert made.runner.model.train_step('data') == 'data'


def test_what_another_hook_has_put_around_it_stays(made):
    hook = RecordStepsHook()
    hook.before_train(made.runner)
    inner = made.runner.model.train_step
    outer = made.runner.model.train_step = lambda data: (inner, data)
    hook.after_train(made.runner)
    assert made.runner.model.train_step is outer


def test_a_step_that_is_compiled_or_replaced_is_left_alone(made):
    mine = made.runner.model.train_step = lambda data: data
    RecordStepsHook().before_train(made.runner)
    assert made.runner.model.train_step is mine
    assert not made.found


def test_a_detector_of_another_kind_is_left_alone(made):
    made.runner.model = nn.Linear(2, 2)
    RecordStepsHook().before_train(made.runner)
    assert not made.found


def test_nothing_is_recorded_where_it_is_switched_off(made):
    RecordStepsHook(max_kinds=0).before_train(made.runner)
    assert not made.found


def test_nothing_is_recorded_on_a_cpu():
    runner = SimpleNamespace(model=Model())
    RecordStepsHook().before_train(runner)
    assert 'train_step' not in vars(runner.model)


def wrapper(kind=MMDistributedDataParallel, **options):
    """As one is made, without processes."""
    wrapped = kind.__new__(kind)
    nn.Module.__init__(wrapped)
    wrapped.module = nn.BatchNorm2d(2)
    settings = dict.fromkeys(('find_unused_parameters', 'detect_anomalous_params', 'broadcast_buffers'), False)
    for name, value in (settings | {'_comm_hooks': []} | options).items():
        setattr(wrapped, name, value)
    return wrapped


def test_several_processes_that_only_average_gradients_are_recorded():
    assert why_not_averaged(wrapper()) is None


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        ({'find_unused_parameters': True}, 'find_unused_parameters=True'),
        ({'detect_anomalous_params': True}, 'detect_anomalous_params=True'),
        ({'broadcast_buffers': True}, 'broadcast_buffers=True'),
        ({'_comm_hooks': [print]}, 'communication hook'),
        ({'kind': MMSeparateDistributedDataParallel}, 'MMSeparateDistributedDataParallel'),
    ],
)
def test_what_else_a_wrapper_does_is_left_to_it(options, reason):
    assert reason in why_not_averaged(wrapper(**options))


def test_the_processes_of_a_wrapper_average_what_is_recorded(made, monkeypatch):
    model, wrapped = made.runner.model, wrapper()
    wrapped.module, wrapped.process_group = model, 'all'
    monkeypatch.setattr(MMDistributedDataParallel, 'train_step', lambda _, data: data)
    monkeypatch.setattr(record_steps_hook, 'why_not_recordable', lambda _: None)
    groups = []
    monkeypatch.setattr(made.cls, '__init__', lambda _, *given: groups.append(given))
    made.runner.model = wrapped
    hook = RecordStepsHook()
    hook.before_train(made.runner)
    assert isinstance(wrapped.train_step, made.cls)
    assert groups[0][0] is model
    assert groups[0][1]('data') == 'data'
    assert groups[0][-1] == 'all'
    hook.after_train(made.runner)
    assert not isinstance(wrapped.train_step, made.cls)

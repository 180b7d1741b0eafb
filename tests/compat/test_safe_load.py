"""mmengine's checkpoints load with PyTorch's protection on, and a pickle that runs code does not."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.compat import safe_load

pytest.importorskip('mmengine')
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Numbers(torch.utils.data.Dataset):
    def __init__(self, metainfo: dict) -> None:
        self.metainfo = metainfo

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.full((3,), float(index))


class Model(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, *x: torch.Tensor, mode: str) -> dict[str, torch.Tensor]:
        assert mode == 'loss'
        return {'loss': self.layer(torch.stack(x)).square().mean()}


def runner(folder, epochs, schedule, **settings) -> Runner:
    metainfo = dict(classes=('cat',), palette=[(0, 0, 0)], source=ConfigDict(year=2017))
    return Runner(
        Model(),
        str(folder),
        train_dataloader=dict(
            dataset=Numbers(metainfo), batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.1), clip_grad=dict(max_norm=1.0)),
        param_scheduler=schedule,
        custom_hooks=[dict(type='EMAHook')],
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        experiment_name=f'{folder.name}_{epochs}_{id(settings)}',
        log_level='ERROR',
        **settings,
    )


@pytest.mark.parametrize(
    'schedule',
    [
        [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=2), dict(type='MultiStepLR', milestones=[1, 2])],
        [dict(type='OneCycleLR', eta_max=0.1, total_steps=10)],
        [dict(type='CosineAnnealingLR', T_max=5)],
    ],
    ids=lambda schedule: schedule[-1]['type'],
)
def test_a_runner_resumes_from_its_own_checkpoint(schedule, tmp_path):
    runner(tmp_path, 1, schedule).train()
    resumed = runner(tmp_path, 2, schedule, resume=True)
    resumed.train()
    assert resumed.iter == 4
    assert len(resumed.message_hub.get_scalar('train/loss').data[0]) == 4


def message_hub_state(name: str) -> dict:
    """The kinds of values that mmengine's hooks, mmdet's metrics and users put there."""
    hub = MessageHub.get_instance(name)
    for value in (1, 0.5, np.float64(0.5), np.float32(0.5), np.int64(3), torch.tensor(0.5), np.array(0.25)):
        hub.update_scalar(f'train/{type(value).__name__}', value)
    infos = dict(best=np.float64(0.4), epoch=1, cfg='text', none=None, flags=[True], ids=np.arange(3))
    for key, value in infos.items():
        hub.update_info(key, value)
    return hub.state_dict()


def saved(content: object) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return file


def test_a_message_hub_comes_back_as_it_was():
    state = message_hub_state('safe_load_values')
    loaded = torch.load(saved(state), weights_only=True)
    assert loaded['runtime_info'].keys() == state['runtime_info'].keys()
    assert np.array_equal(loaded['runtime_info']['ids'], np.arange(3))
    for name, history in state['log_scalars'].items():
        assert np.array_equal(loaded['log_scalars'][name].data[0], history.data[0])
        assert loaded['log_scalars'][name].mean() == history.mean()


@pytest.mark.parametrize('core', ['core', '_core'])
def test_arrays_written_by_numpy_1_and_numpy_2_load(core):
    content = saved({'history': HistoryBuffer([1.0, 2.0], [1, 1]), 'best': np.float32(0.5)})
    renamed = io.BytesIO()
    with zipfile.ZipFile(content) as source, zipfile.ZipFile(renamed, 'w', zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            data = source.read(name)
            for other in (b'numpy._core.multiarray', b'numpy.core.multiarray'):
                data = data.replace(b'c' + other + b'\n', f'cnumpy.{core}.multiarray\n'.encode())
            target.writestr(name, data)
    loaded = torch.load(io.BytesIO(renamed.getvalue()), weights_only=True)
    assert loaded['history'].mean() == 1.5
    assert loaded['best'] == np.float32(0.5)


class Malicious:
    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    'attack',
    [
        Malicious(os.system, 'echo attacked'),
        Malicious(eval, '1 + 1'),
        Malicious(getattr, HistoryBuffer, '__init__'),
        Malicious(getattr, HistoryBuffer, 'register_statistics'),
        Malicious(getattr, np.ndarray, 'tofile'),
    ],
    ids=['os.system', 'eval', 'getattr dunder', 'getattr classmethod', 'getattr of numpy'],
)
def test_a_pickle_that_runs_code_is_refused(attack):
    with pytest.raises(pickle.UnpicklingError):
        torch.load(saved({'state_dict': attack}))


def test_applying_twice_adds_nothing():
    before = len(torch.serialization.get_safe_globals())
    safe_load.apply()
    assert len(torch.serialization.get_safe_globals()) == before

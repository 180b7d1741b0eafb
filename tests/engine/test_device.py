"""What a config leaves out for a machine, and which machines cannot run it."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODEL_WRAPPERS

from swin_mmdet.engine.device import LOADERS, adapt_to_device, check_device
from swin_mmdet.errors import UserError


def config(launcher: str = 'none', **changes) -> Config:
    return Config(dict(
        launcher=launcher,
        model=dict(
            backbone=dict(norm_cfg=dict(type='SyncBN', requires_grad=True)), neck=dict(norm_cfg=dict(type='GN'))
        ),
        optim_wrapper=dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16', optimizer=dict(type='SGD')),
        train_dataloader=dict(batch_size=2),
        val_dataloader=dict(batch_size=1, pin_memory=False),
        test_dataloader=None,
        **changes,
    ))  # fmt: skip


@pytest.mark.parametrize('device', ['cpu', 'mps'])
def test_without_cuda_a_run_is_in_float32_and_said_to_be(device):
    cfg = config()
    lines = adapt_to_device(cfg, device)
    assert cfg.optim_wrapper == dict(type='OptimWrapper', optimizer=dict(type='SGD'))
    assert lines[0] == f'mixed precision needs a GPU: running in float32 on {device}'
    assert 'pin_memory' not in cfg.train_dataloader
    assert 'float32' not in str(adapt_to_device(cfg, device))


def test_on_a_gpu_precision_stays_and_images_are_pinned_unless_the_config_says():
    cfg = config(launcher='pytorch')
    assert adapt_to_device(cfg, 'cuda') == []
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.dtype) == ('AmpOptimWrapper', 'float16')
    assert [cfg[name] and cfg[name].pin_memory for name in LOADERS] == [True, False, None]
    assert cfg.model.backbone.norm_cfg.type == 'SyncBN'
    assert 'model_wrapper_cfg' not in cfg


@pytest.mark.parametrize(('device', 'launcher'), [('cuda', 'none'), ('cpu', 'none'), ('cpu', 'pytorch')])
def test_one_process_or_cpus_have_no_sync_bn(device, launcher):
    cfg = config(launcher)
    assert 'SyncBN needs several GPUs: running with BN' in adapt_to_device(cfg, device)
    assert cfg.model.backbone.norm_cfg == dict(type='BN', requires_grad=True)
    assert cfg.model.neck.norm_cfg.type == 'GN'
    assert 'SyncBN' not in str(adapt_to_device(cfg, device))


@pytest.mark.parametrize('unused', [True, False])
def test_several_processes_on_cpus_get_no_gpus(unused):
    cfg = config('pytorch', find_unused_parameters=unused)
    assert adapt_to_device(cfg, 'cpu')[-1] == 'no GPU: the processes talk through gloo'
    wrapper = dict(cfg.model_wrapper_cfg)
    assert MODEL_WRAPPERS.get(wrapper.pop('type')) is not None
    assert wrapper == dict(device_ids=None, broadcast_buffers=False, find_unused_parameters=unused)
    cfg = config()
    adapt_to_device(cfg, 'cpu')
    assert 'model_wrapper_cfg' not in cfg


def test_every_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    check_device(config('pytorch'), 'cuda', 1)
    check_device(config(), 'cuda', 2)
    with pytest.raises(UserError, match='process 2 has no GPU, this machine has 2; start 2 processes'):
        check_device(config('pytorch'), 'cuda', 2)


def test_launchers_that_need_gpus_are_refused_on_cpus():
    for launcher in ('none', 'pytorch'):
        check_device(config(launcher), 'cpu')
    check_device(config('slurm'), 'cuda')
    with pytest.raises(UserError, match='--launcher slurm needs GPUs'):
        check_device(config('slurm'), 'cpu')

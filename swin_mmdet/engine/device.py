"""A run on the machine at hand: whether it can do it, what the config leaves out for it, how processes start there."""

import torch
import torch.distributed as dist
from mmengine.config import Config

from swin_mmdet.config import type_name
from swin_mmdet.config.rewrite import use_full_precision, use_plain_bn
from swin_mmdet.errors import UserError

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def check_device(cfg: Config, device: str, local_rank: int = 0) -> None:
    """The processes of the config's launcher have each its GPU, or can do without.

    Args:
        device: what mmengine's `get_device` says: 'cuda', 'cpu', 'mps' ...
        local_rank: of this process among those of its machine.

    Raises:
        UserError: they cannot run here.
    """
    if cfg.launcher == 'pytorch' and torch.cuda.is_available():
        count = torch.cuda.device_count()
        if local_rank >= count:
            raise UserError(f'process {local_rank} has no GPU, this machine has {count}; start {count} processes')
    if device == 'cpu' and cfg.launcher not in ('none', 'pytorch'):
        raise UserError(f'--launcher {cfg.launcher} needs GPUs; on CPUs use torchrun with --launcher pytorch')


def adapt_to_device(cfg: Config, device: str) -> list[str]:
    """Take out of the config what the device cannot do; images for a GPU are in pinned memory.

    Returns:
        What to tell the user.
    """
    lines = []
    if device in ('cpu', 'mps') and type_name(cfg.optim_wrapper) == 'AmpOptimWrapper':
        use_full_precision(cfg)
        lines.append(f'mixed precision needs a GPU: running in float32 on {device}')
    if device == 'cuda':
        for name in LOADERS:
            if isinstance(cfg.get(name), dict):
                cfg[name].setdefault('pin_memory', True)
    if (device == 'cpu' or cfg.launcher == 'none') and use_plain_bn(cfg):
        lines.append('SyncBN needs several GPUs: running with BN')
    if _several_on_cpus(cfg, device):
        # without a word mmengine gives each process a GPU
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
        lines.append('no GPU: the processes talk through gloo')
    return lines


def start_processes(cfg: Config, device: str) -> None:
    """Let processes on CPUs find each other; where there are GPUs the runner does."""
    if _several_on_cpus(cfg, device):
        dist.init_process_group('gloo')


def _several_on_cpus(cfg: Config, device: str) -> bool:
    return device == 'cpu' and cfg.launcher != 'none'

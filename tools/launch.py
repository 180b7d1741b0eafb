"""What train.py, test.py and predict.py share: reading a config, fitting it to the machine, messages for users.

PyTorch and MMDetection take seconds to import: functions of the tools that need them import them, so that `--help` and
wrong arguments are answered at once.
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.error import URLError

from mmengine.config import Config

from swin_mmdet.command_line import Settings
from swin_mmdet.config import nodes, type_name
from swin_mmdet.config.files import existing, existing_config, existing_weights, read_config
from swin_mmdet.errors import UserError

if TYPE_CHECKING:
    from swin_mmdet.checkpoint import CheckpointFile

# names of the layer, and that of its class
SYNC_BN = ('SyncBN', 'MMSyncBN', 'SyncBatchNorm')
LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
USER_ERROR, INTERRUPTED = 2, 130


def run_cli(main: Callable[[], int | None]) -> None:
    """Run a tool and exit: code 2 and one message for a user's mistake, a traceback for anything else."""
    try:
        code = main()
        dist = sys.modules.get('torch.distributed')
        if dist and dist.is_available() and dist.is_initialized():
            # the first process to leave would cut off the others in their last messages
            dist.barrier()
            dist.destroy_process_group()
            leave_at_once(code or 0)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        code = USER_ERROR
    except URLError as error:
        print(f'error: a download failed ({error}); give a local file instead of the URL', file=sys.stderr)
        code = USER_ERROR
    except KeyboardInterrupt:
        print('interrupted; `train.py` goes on from its last checkpoint with --resume', file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code)


def leave_at_once(code: int) -> NoReturn:
    """Exit without the interpreter's end, where a thread of gloo that is still there aborts a run that has finished."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def add_shared_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that train.py and test.py have in common."""
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints (default: work_dirs/<name of the config>)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Settings,
        default={},
        metavar='KEY=VALUE',
        help='change settings of the config, such as optim_wrapper.optimizer.lr=0.0002; '
        'data_root=FOLDER moves all the data',
    )
    parser.add_argument(
        '--data',
        metavar='FOLDER',
        help='use the COCO-format data set in this folder: its images, annotations, classes and number of classes',
    )
    parser.add_argument(
        '--drop-in', action='store_true', help="use swin_mmdet's parts for those of the same name in mmdet's configs"
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how the processes were started')
    # torchrun sets LOCAL_RANK; the older torch.distributed.launch passes the argument
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def check_paths(args: argparse.Namespace) -> None:
    """The files that `add_shared_arguments` and a `checkpoint` name are there."""
    existing_config(args.config)
    if 'checkpoint' in args:
        existing_weights(args.checkpoint, 'checkpoint')
    if args.data:
        existing(args.data, 'data folder')


def load_config(args: argparse.Namespace) -> Config:
    """The config of `add_shared_arguments` with every option merged, its work_dir and launcher set."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = read_config(args.config)
    from mmengine.logging import MMLogger

    from swin_mmdet.run_log import EARLY_LINES

    MMLogger.get_current_instance().addHandler(EARLY_LINES)
    if args.drop_in:
        import swin_mmdet.drop_in  # noqa: F401
    apply_options(cfg, args.data, args.cfg_options)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs', Path(args.config).stem))
    cfg.launcher = args.launcher
    return cfg


def apply_options(cfg: Config, data: str | None, options: dict) -> None:
    """Merge the options, later ones on top: `--data`, `data_root=FOLDER`, every other `--cfg-options`."""
    from data_folder import check_instances, move_data, use_folder

    if data:
        check_instances(cfg, data)
        use_folder(cfg, existing(data, 'data folder'))
    if 'data_root' in options:
        # by itself the variable would change nothing: the paths were made from it when the file was read
        move_data(cfg, options['data_root'])
        options = {key: value for key, value in options.items() if key != 'data_root'}
    merge(cfg, options)


def merge(cfg: Config, options: dict) -> None:
    """Put `--cfg-options` into a config and look its names up; what changes nothing is said."""
    from swin_mmdet.config.check import check_names
    from swin_mmdet.config.options import merge_options

    for warning in merge_options(cfg, options):
        say(f'warning: {warning}')
    if is_main_process():
        check_names(cfg)


def check_weights(path: str, what: str) -> str:
    """A checkpoint's path or URL, if it can be read or fetched and holds weights."""
    existing_weights(path, what)
    if is_main_process():
        read_weights(path, what)
    return path


def read_weights(path: str, what: str) -> 'CheckpointFile':
    """The weights in a file, or a UserError that says why there are none."""
    existing_weights(path, what)
    from swin_mmdet.checkpoint import read_checkpoint

    try:
        return read_checkpoint(path)
    except ValueError as error:
        raise UserError(str(error) if path in str(error) else f'{what} {path}: {error}') from error


def check_run(cfg: Config) -> None:
    """Find mistakes before the long work starts: missing weights and everything wrong with the annotation files."""
    if not is_main_process():
        return
    from swin_mmdet.datasets.check import check_config
    from swin_mmdet.datasets.missing_data import check_folders
    from swin_mmdet.engine.language_models import check_language_models
    from swin_mmdet.engine.pretrained import check_pretrained

    check_folders(cfg)
    if cfg.get('train_dataloader'):
        # testing needs no other weights than the checkpoint's
        check_pretrained(cfg)
    check_language_models(cfg)
    check_config(cfg)


def is_main_process() -> bool:
    """Whether this is the first of the processes that a launcher started."""
    names = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
    return all(os.environ.get(name, '0') == '0' for name in names)


def fit_to_device(cfg: Config) -> None:
    """Take out of the config what the machine at hand cannot do, and say so; images for a GPU are in pinned memory."""
    import torch
    from mmengine.device import get_device

    if cfg.launcher != 'none' and torch.cuda.is_available():
        local_rank, count = int(os.environ['LOCAL_RANK']), torch.cuda.device_count()
        if cfg.launcher == 'pytorch' and local_rank >= count:
            raise UserError(f'process {local_rank} has no GPU, this machine has {count}; start {count} processes')
    device = get_device()
    if device in ('cpu', 'mps') and type_name(cfg.optim_wrapper) == 'AmpOptimWrapper':
        use_full_precision(cfg)
        say(f'mixed precision needs a GPU: running in float32 on {device}')
    if device == 'cuda':
        for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            if isinstance(cfg.get(name), dict):
                cfg[name].setdefault('pin_memory', True)
    if (device == 'cpu' or cfg.launcher == 'none') and use_plain_bn(cfg):
        say('SyncBN needs several GPUs: running with BN')
    if device == 'cpu' and cfg.launcher != 'none':
        use_gloo(cfg)


def use_plain_bn(cfg: Config) -> bool:
    """Replace SyncBN by BN, which is the same on one process; whether there was any."""
    norms = [node for node in nodes(cfg.model) if type_name(node) in SYNC_BN]
    for node in norms:
        node.type = 'BN'
    return bool(norms)


def use_full_precision(cfg: Config) -> None:
    """Replace the AMP optimizer wrapper by the plain one."""
    cfg.optim_wrapper.type = 'OptimWrapper'
    for key in ('loss_scale', 'dtype', 'use_fsdp'):
        cfg.optim_wrapper.pop(key, None)


def use_gloo(cfg: Config) -> None:
    """Several processes on CPUs; mmengine itself would ask for GPUs at both of these places."""
    if cfg.launcher != 'pytorch':
        raise UserError(f'--launcher {cfg.launcher} needs GPUs; on CPUs use torchrun with --launcher pytorch')
    import torch.distributed as dist

    say('no GPU: the processes talk through gloo')
    dist.init_process_group('gloo')
    cfg.model_wrapper_cfg = dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=cfg.get('find_unused_parameters', False),
    )


def say(text: str) -> None:
    """A line for the user, once for all processes; the log of the run will have it too."""
    if is_main_process():
        from swin_mmdet.run_log import EARLY_LINES

        print(text, flush=True)
        EARLY_LINES.keep(text)

"""What a program does before it runs a config: arguments that several share, options merged, checks, the device."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swin_mmdet.commands.arguments import Settings
from swin_mmdet.commands.fitting import run_name
from swin_mmdet.commands.launcher import LAUNCHERS, is_main_process, local_rank, set_local_rank
from swin_mmdet.commands.say import say
from swin_mmdet.config.files import existing, existing_config, existing_weights, read_config
from swin_mmdet.errors import UserError, gathered, refuse

if TYPE_CHECKING:
    from mmengine.config import Config

    from swin_mmdet.datasets.checks.options import CheckOptions

SPLITS = 'train', 'val', 'test'


def add_shared_arguments(parser: argparse.ArgumentParser, needs_config: bool = True) -> None:
    """The arguments that train and test have in common."""
    parser.add_argument('config', nargs=None if needs_config else '?', help='config file')
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
        help='use the data set in this folder, of COCO, YOLO, Pascal VOC, LabelMe, CVAT, Label Studio, Supervisely or '
        'Datumaro: its images, annotations, classes and number of classes',
    )
    parser.add_argument(
        '--split',
        metavar='SHARE',
        help='with --data that has no images for validation: train on this share of them, such as 0.8, and validate on '
        'the others; images of like names stay together',
    )
    parser.add_argument(
        '--drop-in', action='store_true', help="use swin_mmdet's parts for those of the same name in mmdet's configs"
    )
    add_check_arguments(parser, '--quick-check')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='how the processes were started')
    # torchrun sets LOCAL_RANK; the older torch.distributed.launch passes the argument
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_check_arguments(parser: argparse.ArgumentParser, quick: str) -> None:
    """How far the check of data goes, by the same arguments for every program."""
    parser.add_argument(
        quick,
        dest='quick',
        action='store_true',
        help='check data by the headers of images alone; else every image is decoded, once until it changes',
    )
    parser.add_argument(
        '--allow-outside',
        action='store_true',
        help='open images whose names in the annotations lead out of their folder',
    )


def check_options(args: argparse.Namespace) -> 'CheckOptions':
    """What `add_check_arguments` gave."""
    from swin_mmdet.datasets.checks.options import CheckOptions
    from swin_mmdet.datasets.image_cache import cache_folder

    return CheckOptions(not args.quick, cache_folder(), args.allow_outside)


def check_paths(args: argparse.Namespace) -> None:
    """The files that `add_shared_arguments` and a `checkpoint` name are there."""
    existing_config(args.config)
    if 'checkpoint' in args:
        existing_weights(args.checkpoint, 'checkpoint')
    if args.data:
        existing(args.data, 'data folder')
    elif args.split:
        raise UserError(f'--split {args.split}: it divides the images of --data FOLDER, which is not given')


def load_config(args: argparse.Namespace, other_options: Callable[['Config'], None] | None = None) -> 'Config':
    """The config of `add_shared_arguments` with every option merged, its work_dir and launcher set.

    `other_options` changes the types of parts, which decide what arguments `--cfg-options` may name.
    """
    set_local_rank(args.local_rank)
    cfg = read_config(args.config)
    from mmengine.logging import MMLogger

    from swin_mmdet.early_lines import EARLY_LINES
    from swin_mmdet.report.conditions import command_line

    MMLogger.get_current_instance().addHandler(EARLY_LINES)
    # for the file of the log
    EARLY_LINES.keep(command_line(sys.argv))
    if args.drop_in:
        import swin_mmdet.drop_in  # noqa: F401
    default = cfg.get('work_dir') or str(Path('work_dirs', run_name(args)))
    if args.data:
        use_data(cfg, args.data, Path(args.work_dir or args.cfg_options.get('work_dir') or default), args.split)
    apply_options(cfg, args.cfg_options, other_options)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or default
    cfg.launcher = args.launcher
    return cfg


def use_data(cfg: 'Config', folder: str, work_dir: Path, split: str | None) -> None:
    """`--data` and `--split`; annotations that have to be converted go into the work-dir."""
    from swin_mmdet.datasets.data_folder import check_instances, use_folder
    from swin_mmdet.datasets.layouts import Split

    check_instances(cfg, folder)
    use_folder(cfg, folder, work_dir / 'data', Split.read(split) if split else None)


def apply_options(
    cfg: 'Config', options: dict, other_options: Callable[['Config'], None] | None = None
) -> None:
    """Merge `--cfg-options`; `data_root=FOLDER` moves all paths that start with it."""
    from swin_mmdet.datasets.data_folder import move_data

    if 'data_root' in options:
        # by itself the variable would change nothing: the paths were made from it when the file was read
        move_data(cfg, options['data_root'])
        options = {key: value for key, value in options.items() if key != 'data_root'}
    merge(cfg, options, other_options)


def merge(cfg: 'Config', options: dict, other_options: Callable[['Config'], None] | None = None) -> None:
    """Put `--cfg-options` into a config, then those of others, and look its names up; what changes nothing is said.

    Raises:
        UserError: a sentence for each mistake in any of these.
    """
    from swin_mmdet.config.check import find_mistakes
    from swin_mmdet.config.options import merge_options

    mistakes: list[str] = []
    with gathered(mistakes):
        say(*(f'warning: {warning}' for warning in merge_options(cfg, options)))
    if other_options:
        with gathered(mistakes):
            other_options(cfg)
    if is_main_process():
        mistakes += find_mistakes(cfg)
    refuse(mistakes)


def check_weights(path: str, what: str) -> str:
    """A checkpoint's path or URL, if it can be read or fetched and holds weights."""
    existing_weights(path, what)
    if is_main_process():
        from swin_mmdet.engine.load_weights import read_weights

        read_weights(path, what)
    return path


def check_before_run(cfg: 'Config', args: argparse.Namespace, splits: Sequence[str] = SPLITS) -> None:
    """Find mistakes before the long work starts: missing packages and weights, wrong annotations of these splits.

    Labels that a split would number in another order than its classes are numbered by name, in place.
    """
    from swin_mmdet.config.packages import check_packages
    from swin_mmdet.datasets import label_by_name

    check_packages(cfg)
    say(*label_by_name(cfg, splits))
    if is_main_process():
        from swin_mmdet.engine.check_run import check_run

        others = tuple(f'{split}_' for split in SPLITS if split not in splits)
        used = type(cfg)({key: value for key, value in cfg.items() if not key.startswith(others)}) if others else cfg
        check_run(used, check_options(args))


def fit_to_device(cfg: 'Config') -> None:
    """Make the config and this process fit the machine at hand, or say why it does not."""
    from mmengine.device import get_device

    from swin_mmdet.engine.device import adapt_to_device, check_device, start_processes

    device = get_device()
    check_device(cfg, device, local_rank())
    say(*adapt_to_device(cfg, device))
    start_processes(cfg, device)

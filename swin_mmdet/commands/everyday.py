"""The arguments of train.py that are changed most: words of a command line, and the numbers that they mean."""

import argparse
import math
from typing import Any

from swin_mmdet.config.everyday import EverydayOptions
from swin_mmdet.errors import UserError

# keys of `--cfg-options` that set the same
SAME = {
    'epochs': ('train_cfg.max_epochs', 'train_cfg.max_iters'),
    'iters': ('train_cfg.max_epochs', 'train_cfg.max_iters'),
    'batch_size': ('train_dataloader.batch_size',),
    'lr': ('optim_wrapper.optimizer.lr',),
    'workers': ('train_dataloader.num_workers', 'val_dataloader.num_workers', 'test_dataloader.num_workers'),
    'seed': ('randomness.seed',),
}
MOST = {'epochs': 10**6, 'iters': 10**9, 'batch_size': 4096, 'workers': 1024, 'seed': 2**32 - 1}
LEAST = {'workers': 0, 'seed': 0}
HIGHEST_RATE = 1.0


def add_everyday_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('what is changed most', 'each with everything that depends on it')
    group.add_argument(
        '--epochs', metavar='N', help='length of the run in passes over the data, whatever the config counts'
    )
    group.add_argument(
        '--iters', metavar='N', help='length of the run in iterations (with --accumulate: in steps of the optimizer)'
    )
    group.add_argument(
        '--batch-size',
        metavar='N',
        help="images of an iteration in each process; the learning rate is scaled from the recipe's batch, unless "
        '--lr sets it',
    )
    group.add_argument('--lr', metavar='RATE', help='learning rate of the optimizer, used as it is')
    group.add_argument(
        '--img-scale',
        nargs='+',
        metavar='PIXELS',
        help='size of test images: both sides or the short one; training and --tta keep their ratios to it',
    )
    group.add_argument('--workers', metavar='N', help='processes that read images, for each dataloader')
    group.add_argument('--seed', metavar='N', help='of all random numbers')


def read_everyday(args: argparse.Namespace) -> EverydayOptions:
    """The numbers that the words of these arguments mean.

    Raises:
        UserError: one that is none, out of range, or set twice.
    """
    found: dict[str, Any] = {
        name: _whole(name, word, LEAST.get(name, 1), most)
        for name, most in MOST.items()
        if (word := getattr(args, name)) is not None
    }
    if args.lr is not None:
        found['lr'] = _rate(args.lr)
    if args.img_scale is not None:
        found['img_scale'] = _sides(args.img_scale)
    wanted = EverydayOptions(**found)
    if wanted.epochs and wanted.iters:
        raise UserError(f'--epochs {wanted.epochs} and --iters {wanted.iters} both set the length of the run: give one')
    for name, keys in SAME.items():
        twice = [key for key in keys if key in args.cfg_options]
        if name in found and twice:
            raise UserError(
                f'{_option(name)} {found[name]} and --cfg-options {twice[0]}={args.cfg_options[twice[0]]} '
                'set the same: give one'
            )
    return wanted


def _option(name: str) -> str:
    return f'--{name.replace("_", "-")}'


def _whole(name: str, word: str, least: int, most: int) -> int:
    try:
        number = int(word)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise UserError(f'{_option(name)} {word}: give a whole number from {least} to {most}')
    return number


def _rate(word: str) -> float:
    try:
        rate = float(word)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= HIGHEST_RATE:
        raise UserError(
            f'--lr {word}: give a number above 0, at most {HIGHEST_RATE:g}, such as 0.0001 '
            '(--cfg-options optim_wrapper.optimizer.lr=... takes any)'
        )
    return rate


def _sides(words: list[str]) -> tuple[int, ...]:
    sides = ' '.join(words).replace('x', ' ').replace(',', ' ').split()
    if len(sides) not in (1, 2) or not all(side.isdecimal() and int(side) for side in sides):
        raise UserError(f'--img-scale {" ".join(words)}: give one side or two in pixels, such as 640 or 1333 800')
    return tuple(int(side) for side in sides)

"""`--epochs`, `--iters`, `--batch-size`, `--lr`, `--img-scale`, `--workers` and `--seed` of train.py."""

import argparse
import math
from typing import TYPE_CHECKING

from accumulation import world_size
from launch import say
from mmengine.config import Config

from swin_mmdet.config.files import read_config
from swin_mmdet.errors import UserError

if TYPE_CHECKING:
    from swin_mmdet.engine.run_length import RunLength

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


def read_everyday(args: argparse.Namespace) -> None:
    """Turn the words of these arguments into numbers, in place.

    Raises:
        UserError: one that is none, out of range, or set twice.
    """
    for name, most in MOST.items():
        if (word := getattr(args, name)) is not None:
            setattr(args, name, _whole(name, word, LEAST.get(name, 1), most))
    if args.lr is not None:
        args.lr = _rate(args.lr)
    if args.img_scale is not None:
        args.img_scale = _sides(args.img_scale)
    if args.epochs and args.iters:
        raise UserError(f'--epochs {args.epochs} and --iters {args.iters} both set the length of the run: give one')
    for name, keys in SAME.items():
        twice = [key for key in keys if key in args.cfg_options]
        if getattr(args, name) is not None and twice:
            raise UserError(
                f'{_option(name)} {getattr(args, name)} and --cfg-options {twice[0]}={args.cfg_options[twice[0]]} '
                'set the same: give one'
            )


def recipe_length(args: argparse.Namespace) -> 'RunLength | None':
    """The length of the config's run without `--cfg-options`, where they may change it.

    Raises:
        UserError: they set it in what the config does not count.
    """
    if not any(key.startswith('train_cfg') for key in args.cfg_options):
        return None
    from swin_mmdet.engine.run_length import run_length

    length = run_length(read_config(args.config))
    other = {'max_epochs': 'epochs', 'max_iters': 'iters'}
    for field, option in other.items():
        wanted = args.cfg_options.get(f'train_cfg.{field}')
        if wanted is not None and length and field != length.field and 'train_cfg.type' not in args.cfg_options:
            raise UserError(
                f'train_cfg.{field}={wanted}: this config counts {length.unit} ({length.field}={length.count}); '
                f'--{option} {wanted} converts'
            )
    return length


def follow_options(cfg: Config, args: argparse.Namespace, before: 'RunLength | None') -> None:
    """What follows a length of the run that `--cfg-options` set, after `before`: schedules, intervals, stages."""
    from swin_mmdet.engine.run_length import follow, run_length
    from swin_mmdet.engine.schedules import covered, is_warm_up, schedulers

    options, length = args.cfg_options, run_length(cfg)
    if before:
        changes = follow(cfg, before, options)
        if length != before:
            _say(f'--cfg-options train_cfg.{length.field} {before.count} -> {length.count}', changes)
    warm_ups = [key for key, one in schedulers(cfg.get('param_scheduler')) if is_warm_up(one)]
    if any(covered(f'{key}.end', options) for key in warm_ups):
        # the runner does not bound it
        cfg.keep_warm_up = True
    if 'runner_type' in cfg:
        say(f'runner_type={cfg.runner_type}: whether warm-up and schedule fit the run is not checked')


def apply_everyday(cfg: Config, args: argparse.Namespace) -> None:
    """All of them but the length of the run, in place."""
    from swin_mmdet.datasets.image_scale import set_image_scale
    from swin_mmdet.datasets.loaders import set_batch_size, set_workers
    from swin_mmdet.engine.learning_rate import set_learning_rate

    if args.batch_size:
        changes = set_batch_size(cfg, args.batch_size)
        base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
        if base and args.lr is None and not args.auto_scale_lr:
            cfg.auto_scale_lr.update(enable=True)
            changes.append(f"the learning rate is scaled from the recipe's batch of {base} (--lr sets it)")
        elif not base and args.lr is None:
            changes.append("the learning rate stays: no auto_scale_lr.base_batch_size says what the recipe's batch is")
        _say(f'--batch-size {args.batch_size}', changes)
    if args.lr is not None:
        changes = set_learning_rate(cfg, args.lr, args.cfg_options)
        if args.auto_scale_lr:
            changes.append("of the recipe's batch, --auto-scale-lr scales it to yours")
        elif (cfg.get('auto_scale_lr') or {}).get('enable'):
            changes.set(cfg.auto_scale_lr, 'enable', False, 'auto_scale_lr.enable')
        _say(f'--lr {args.lr:g}', changes)
    if args.img_scale:
        _say(f'--img-scale {" ".join(map(str, args.img_scale))}', set_image_scale(cfg, args.img_scale))
    if args.workers is not None:
        _say(f'--workers {args.workers}', set_workers(cfg, args.workers))
    if args.seed is not None:
        before = (cfg.get('randomness') or {}).get('seed')
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=args.seed)
        _say(f'--seed {args.seed}', [f'randomness.seed {before if before is not None else "none"} -> {args.seed}'])


def apply_length(cfg: Config, args: argparse.Namespace) -> None:
    """`--epochs` and `--iters`, in place, after the batch is known: an epoch may have to be counted in the data."""
    if not args.epochs and not args.iters:
        return
    from swin_mmdet.datasets.loaders import epoch_length
    from swin_mmdet.engine.run_length import RunLength, set_length

    steps = cfg.optim_wrapper.get('accumulative_counts', 1)
    wanted = RunLength(args.epochs, True) if args.epochs else RunLength(args.iters * steps, False)
    changes = set_length(cfg, wanted, lambda: epoch_length(cfg, world_size(cfg)), args.cfg_options)
    _say(f'--epochs {args.epochs}' if args.epochs else f'--iters {args.iters}', changes)


def _say(option: str, changes: list[str]) -> None:
    say(f'{option}: {"; ".join(changes) or "nothing changes"}')


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

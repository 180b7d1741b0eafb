"""Train a detector on one CPU or GPU, or as one process of several (see dist_train.sh and slurm_train.sh)."""

import argparse

from accumulation import accumulate
from everyday import add_everyday_arguments, apply_everyday, apply_length, follow_options, read_everyday, recipe_length
from last_checkpoint import keep_two, last_checkpoint
from launch import (
    UserError,
    add_shared_arguments,
    check_paths,
    check_run,
    check_weights,
    existing_weights,
    fit_to_device,
    load_config,
    run_cli,
    say,
    use_full_precision,
)
from mmengine.config import Config
from packages import check_packages

from swin_mmdet.command_line import ArgumentParser
from swin_mmdet.config import type_name

SCALING_RULES = 'linear', 'sqrt'
DTYPES = {'bf16': 'bfloat16', 'fp16': 'float16'}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    add_shared_arguments(parser)
    parser.add_argument(
        '--amp',
        nargs='?',
        const='auto',
        choices=('auto', *DTYPES, 'off'),
        help='mixed precision with a dynamic loss scale: in bf16 where the GPU has it (auto, as without a word), in '
        'that type, or off',
    )
    parser.add_argument(
        '--auto-scale-lr',
        nargs='?',
        const='linear',
        choices=SCALING_RULES,
        help="scale the learning rate from the recipe's batch size to yours, accumulated images counted",
    )
    parser.add_argument(
        '--accumulate',
        metavar='auto|N',
        help="sum gradients over N iterations for one step of the optimizer; auto: as many as make the recipe's batch",
    )
    parser.add_argument(
        '--ema',
        nargs='?',
        const=0.0002,
        type=float,
        metavar='MOMENTUM',
        help='evaluate and save an exponential moving average of the weights (momentum: share of the new ones, 0.0002)',
    )
    parser.add_argument(
        '--freeze',
        nargs='+',
        default=[],
        metavar='PART',
        help='parts that do not train, by the start of their names or as regular expressions: neck roi_head.bbox_head',
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint; without a path, from the last one in the work-dir',
    )
    add_everyday_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    read_everyday(args)
    check_paths(args)
    if args.resume not in (None, 'auto'):
        existing_weights(args.resume, 'checkpoint to resume from')
    before = recipe_length(args)
    cfg = load_config(args)
    follow_options(cfg, args, before)
    apply_everyday(cfg, args)
    if args.amp:
        use_amp(cfg, args.amp)
    if args.auto_scale_lr:
        scale_learning_rate(cfg, args.auto_scale_lr)
    if args.accumulate:
        accumulate(cfg, args.accumulate)
    if args.ema is not None:
        average_weights(cfg, args.ema)
    if args.freeze:
        freeze(cfg, args.freeze)
    if args.resume:
        resume(cfg, args.resume)
    elif cfg.get('load_from'):
        check_weights(cfg.load_from, 'weights (load_from)')
    keep_two(cfg)
    check_packages(cfg)
    check_run(cfg)
    apply_length(cfg, args)
    fit_to_device(cfg)
    from mmengine.registry import RUNNERS
    from training_runner import TrainingRunner

    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else TrainingRunner.from_cfg(cfg)
    runner.train()


def use_amp(cfg: Config, dtype: str) -> None:
    """Mixed precision: 'auto', 'bf16', 'fp16' or 'off'."""
    wrapper = cfg.optim_wrapper
    if type_name(wrapper) not in ('', 'OptimWrapper', 'AmpOptimWrapper'):
        raise UserError(f'--amp works with OptimWrapper, the config has {type_name(wrapper)}')
    if dtype == 'off':
        use_full_precision(cfg)
        return
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')
    if dtype in DTYPES:
        wrapper.dtype = DTYPES[dtype]


def scale_learning_rate(cfg: Config, rule: str) -> None:
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise UserError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config: the batch of its recipe')
    cfg.auto_scale_lr.update(enable=True, rule=rule)


def average_weights(cfg: Config, momentum: float) -> None:
    if not 0 < momentum < 1:
        raise UserError(f'--ema {momentum}: the share of the new weights lies between 0 and 1')
    hooks = cfg.get('custom_hooks') or []
    if any(type_name(hook).endswith('EMAHook') for hook in hooks):
        raise UserError('--ema: the config has an EMAHook already')
    # follows the weights closely at first: an average of few steps would still be the initial weights
    hook = dict(type='swin_mmdet.EMAHook', ema_type='mmdet.ExpMomentumEMA', momentum=momentum, update_buffers=True)
    cfg.custom_hooks = [*hooks, hook]


def freeze(cfg: Config, parts: list[str]) -> None:
    if 'runner_type' in cfg:
        raise UserError(f"--freeze works with mmengine's Runner, the config has runner_type={cfg.runner_type!r}")
    cfg.frozen_parts = parts


def resume(cfg: Config, source: str) -> None:
    """Ask the runner to restore weights, optimizer, schedule and progress."""
    cfg.resume = True
    if '://' in source:
        # mmengine would read it without PyTorch's protection against code in files
        raise UserError(f'--resume {source}: download the file first')
    if source != 'auto':
        cfg.load_from = check_weights(source, 'checkpoint to resume from')
        return
    latest = last_checkpoint(cfg.work_dir)
    if latest is None:
        cfg.resume = False
        say(f'--resume: no checkpoint in {cfg.work_dir}, training starts at the beginning')
    else:
        cfg.load_from = check_weights(str(latest), 'checkpoint to resume from')


if __name__ == '__main__':
    run_cli(main)

"""Train a detector on one CPU or GPU, or as one process of several (see dist_train.sh and slurm_train.sh)."""

import argparse

from launch import (
    UserError,
    add_shared_arguments,
    check_run,
    check_weights,
    fit_to_device,
    load_config,
    run_cli,
    say,
)
from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import find_latest_checkpoint
from weights import LoadingRunner


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add_shared_arguments(parser)
    parser.add_argument('--amp', action='store_true', help='mixed precision with a dynamic loss scale')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate from the recipe\'s batch size to yours'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint; without a path, from the last one in the work-dir',
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args)
    if args.amp:
        use_amp(cfg)
    if args.auto_scale_lr:
        scale_learning_rate(cfg)
    if args.resume:
        resume(cfg, args.resume)
    elif cfg.get('load_from'):
        check_weights(cfg.load_from, 'weights (load_from)')
    check_run(cfg)
    fit_to_device(cfg)
    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else LoadingRunner.from_cfg(cfg)
    runner.train()


def use_amp(cfg: Config) -> None:
    wrapper = cfg.optim_wrapper
    if wrapper.type not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise UserError(f'--amp works with OptimWrapper, the config has {wrapper.type}')
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')


def scale_learning_rate(cfg: Config) -> None:
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise UserError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config: the batch of its recipe')
    cfg.auto_scale_lr.enable = True


def resume(cfg: Config, source: str) -> None:
    """Ask the runner to restore weights, optimizer, schedule and progress."""
    cfg.resume = True
    if '://' in source:
        # mmengine would read it without PyTorch's protection against code in files
        raise UserError(f'--resume {source}: download the file first')
    if source != 'auto':
        cfg.load_from = check_weights(source, 'checkpoint to resume from')
        return
    latest = find_latest_checkpoint(cfg.work_dir)
    cfg.load_from = latest and check_weights(latest, 'checkpoint that last_checkpoint in the work-dir names')
    if latest is None:
        cfg.resume = False
        say(f'--resume: no checkpoint in {cfg.work_dir}, training starts at the beginning')


if __name__ == '__main__':
    run_cli(main)

"""Train a detector on one CPU or GPU, or as one process of several (see dist_train.sh and slurm_train.sh)."""

import argparse
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser
from swin_mmdet.commands.everyday import add_everyday_arguments, read_everyday
from swin_mmdet.commands.fitting import (
    add_fitting_arguments,
    choose_config,
    fit_and_write,
    go_on_with,
    name_of_copy,
    written_config,
)
from swin_mmdet.commands.launcher import is_main_process, restarted, world_size
from swin_mmdet.commands.prepare import (
    add_shared_arguments,
    check_before_run,
    check_options,
    check_paths,
    check_weights,
    fit_to_device,
    load_config,
)
from swin_mmdet.commands.say import say
from swin_mmdet.commands.trackers import add_tracker_arguments, read_trackers
from swin_mmdet.config.files import existing_weights

# the keys of swin_mmdet.engine.runner.SCALES and .training_options.DTYPES, which take seconds to import
SCALING_RULES = 'linear', 'sqrt'
DTYPES = 'bf16', 'fp16'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    add_shared_arguments(parser, needs_config=False)
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
        help='go on from this checkpoint; without a path, from the last good one in the work-dir',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='begin anew in a work-dir: remove the checkpoints of the run before'
    )
    parser.add_argument(
        '--exit-with-signal',
        action='store_true',
        help='after a signal, such as Ctrl-C or the end of a time limit, exit with 128 and its number (SIGTERM: 143), '
        'not with 0; the run is saved in both cases',
    )
    parser.add_argument(
        '--no-report', action='store_true', help='write no report.html at the end, see the command `report`'
    )
    add_everyday_arguments(parser)
    add_fitting_arguments(parser)
    add_tracker_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    train(parse_args(argv))


def train(args: argparse.Namespace) -> str:
    """The work-dir of the run."""
    everyday, named, trackers = read_everyday(args), choose_config(args), read_trackers(args)
    check_paths(args)
    if args.resume not in (None, 'auto'):
        existing_weights(args.resume, 'checkpoint to resume from')
    from swin_mmdet.engine.accumulation import accumulate
    from swin_mmdet.engine.everyday import apply_everyday, apply_length, follow_settings, recipe_length
    from swin_mmdet.engine.guards import check_work_dir
    from swin_mmdet.engine.last_checkpoint import last_checkpoint, resume
    from swin_mmdet.engine.runner import TrainingRunner
    from swin_mmdet.engine.training_options import average_weights, freeze_parts, scale_learning_rate, use_amp
    from swin_mmdet.evaluation.kept_detections import forget_detections

    if args.fit:
        from swin_mmdet.fitting.fitted_config import check_masks

    written, recipe = written_config(args), args.config
    if args.fit and (args.resume not in (None, 'auto') or ((args.resume or restarted()) and written.exists())):
        everyday = go_on_with(args, written)
    settings = args.cfg_options
    before = recipe_length(args.config, settings)
    cfg = load_config(args, (lambda cfg: use_amp(cfg, args.amp)) if args.amp else None)
    processes = world_size(args.launcher)
    # by its name the runner calls the copy of the whole config
    object.__setattr__(cfg, '_filename', name_of_copy(recipe, cfg.work_dir))
    if args.fit:
        written = Path(cfg.work_dir, written.name)
        check_masks(cfg, named)
    say(*follow_settings(cfg, settings, before))
    say(*apply_everyday(cfg, everyday, settings, bool(args.auto_scale_lr)))
    if args.auto_scale_lr:
        scale_learning_rate(cfg, args.auto_scale_lr)
    if args.accumulate and not args.fit:
        say(*accumulate(cfg, args.accumulate, processes))
    if args.ema is not None:
        average_weights(cfg, args.ema)
    if args.freeze:
        freeze_parts(cfg, args.freeze)
    if restarted() and (args.resume is None or last_checkpoint(cfg.work_dir)[0]):
        args.resume = 'auto'
    if args.resume:
        say(*resume(cfg, args.resume))
    if is_main_process():
        check_work_dir(cfg.work_dir, goes_on=bool(args.resume), overwrite=args.overwrite)
        if not args.resume:
            forget_detections(cfg.work_dir)
    if cfg.get('load_from'):
        check_weights(cfg.load_from, 'checkpoint to resume from' if cfg.get('resume') else 'weights (load_from)')
    check_before_run(cfg, args)
    if args.fit:
        fit_and_write(cfg, args, named, everyday, written)
        if args.fit_only:
            return cfg.work_dir
    else:
        say(*apply_length(cfg, everyday, settings, processes))
    # guards of this run, which a written config does not have
    guards: list[dict] = [dict(type='swin_mmdet.StopHook', exit_code='signal')] if args.exit_with_signal else []
    guards += [dict(type='swin_mmdet.WorkDirHook', overwrite=True)] if args.overwrite else []
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), *guards]
    fit_to_device(cfg)
    if trackers:
        from swin_mmdet.engine.trackers import use_trackers

        use_trackers(cfg, trackers)
    from mmengine.registry import RUNNERS

    from swin_mmdet.engine import KeepDetectionsHook

    runner = RUNNERS.build(cfg) if 'runner_type' in cfg else TrainingRunner.from_cfg(cfg)
    runner.is_elastic = restarted()
    runner.register_hook(KeepDetectionsHook())
    runner.train()
    if is_main_process() and not args.no_report:
        report_of(cfg.work_dir, args)
    return cfg.work_dir


def report_of(work_dir: str, args: argparse.Namespace) -> None:
    """Write the report of a training that has ended; whatever goes wrong with it is a line of the log."""
    import logging

    from mmengine.logging import print_log

    try:
        from swin_mmdet.evaluation import kept_detections
        from swin_mmdet.report.run_report import write_report

        if kept_detections(work_dir):
            print_log(f'report: {write_report(Path(work_dir), options=check_options(args))}', 'current')
    except (Exception, KeyboardInterrupt) as error:
        text = f'no report was written ({type(error).__name__}: {error}); `swin-mmdet report {work_dir}` tries again'
        print_log(text, 'current', logging.WARNING)

"""Write a page about a training that opens without a network: curves, AP, errors with images, data, conditions."""

import argparse
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser
from swin_mmdet.commands.prepare import add_check_arguments, check_options
from swin_mmdet.config.files import existing, existing_weights
from swin_mmdet.errors import UserError

MOST_PICTURES = 1000
EVALUATED = 'evaluated'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', type=Path, help='the work-dir of train.py or test.py')
    parser.add_argument('--out', type=Path, metavar='FILE', help='the page (default: WORK_DIR/report.html)')
    parser.add_argument(
        '--checkpoint',
        metavar='CHECKPOINT',
        help='evaluate this one first (default: what the last evaluation has found, or without one the best or last '
        'checkpoint of the work-dir)',
    )
    parser.add_argument(
        '--no-predict', action='store_true', help='write the page without errors where no predictions were kept'
    )
    parser.add_argument('--pictures', type=int, default=48, metavar='N', help='images of errors (default: %(default)s)')
    add_check_arguments(parser, '--quick')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    existing(str(args.work_dir), 'work-dir')
    if not args.work_dir.is_dir():
        raise UserError(f'{args.work_dir} is a file; give the work-dir of train.py or test.py')
    if not 0 <= args.pictures <= MOST_PICTURES:
        raise UserError(f'--pictures {args.pictures}: give a number from 0 to {MOST_PICTURES}')
    if args.out and args.out.is_dir():
        raise UserError(f'--out {args.out} is a folder; name a file in it, such as {args.out / "report.html"}')
    if args.checkpoint:
        if args.no_predict:
            raise UserError('--checkpoint and --no-predict: give one')
        existing_weights(args.checkpoint, 'checkpoint')
    if not args.no_predict:
        predict(args)
    from swin_mmdet.report.run_report import write_report

    print(f'report: {write_report(args.work_dir, args.out, check_options(args), args.pictures)}')


def predict(args: argparse.Namespace) -> None:
    """Evaluate a checkpoint, whose detections then are in the work-dir, if one is named or none are there."""
    from swin_mmdet.commands.test import main as test
    from swin_mmdet.evaluation.kept_detections import kept_detections, move_detections
    from swin_mmdet.report.run_report import config_of

    config = config_of(args.work_dir)
    checkpoint = args.checkpoint
    if checkpoint is None:
        # what is there and cannot be read is told on the page
        try:
            if kept_detections(args.work_dir):
                return
        except UserError as error:
            print(f'warning: {error}')
        found = best_or_last(args.work_dir)
        if config is None or found is None:
            return
        checkpoint = str(found)
        print(f'no predictions are kept in {args.work_dir}: evaluating {checkpoint} (--no-predict leaves that out)')
    elif config is None:
        raise UserError(
            f'--checkpoint {checkpoint}: {args.work_dir} has no config to evaluate it with; run test.py with --work-dir'
        )
    # of its own: a test leaves its config, and that of the training is to stay
    folder = args.work_dir / EVALUATED
    words = [str(config), checkpoint, '--work-dir', str(folder)]
    words += ['--quick-check'] * args.quick + ['--allow-outside'] * args.allow_outside
    try:
        test(words)
        if not move_detections(folder, args.work_dir):
            print(f"warning: the evaluator of {config} keeps no detections; use type='swin_mmdet.CocoMetric'")
    except UserError as error:
        if args.checkpoint:
            raise
        print(f'warning: {checkpoint} could not be evaluated: {error}')


def best_or_last(work_dir: Path) -> Path | None:
    """The newest `best_*.pth`, or the last good checkpoint."""
    from swin_mmdet.engine.last_checkpoint import last_checkpoint

    best = sorted(work_dir.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    return best[-1] if best else last_checkpoint(work_dir)[0]

"""Evaluate a checkpoint with the metric of its config."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from swin_mmdet.commands.arguments import ArgumentParser
from swin_mmdet.commands.prepare import (
    add_shared_arguments,
    check_before_run,
    check_paths,
    check_weights,
    fit_to_device,
    load_config,
)
from swin_mmdet.config.files import EXPORTED
from swin_mmdet.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    add_shared_arguments(parser)
    parser.add_argument('checkpoint', help='weights: path or URL of a .pth file; or an exported file')
    parser.add_argument('--out', metavar='RESULTS.pkl', help='write the predictions, for offline evaluation')
    parser.add_argument('--show-dir', metavar='DIR', help='draw ground truth and predictions of every image there')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation: scales and flips, seen as one')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    evaluate(parse_args(argv))


def evaluate(args: argparse.Namespace) -> dict[str, float]:
    """The metrics by their names."""
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        raise UserError(f'--out {args.out}: the name must end in .pkl or .pickle')
    check_paths(args)
    cfg = load_config(args)
    exported = args.checkpoint.endswith(EXPORTED)
    if exported and args.tta:
        raise UserError(f'--tta takes a checkpoint: {args.checkpoint} is exported and has one view of an image')
    cfg.load_from = None if exported else check_weights(args.checkpoint, 'checkpoint')
    cfg.resume = False
    if args.show_dir:
        draw_into(cfg, args.show_dir)
    check_before_run(cfg, args, splits=('test',))
    fit_to_device(cfg)
    if exported:
        from swin_mmdet.export.evaluated import use_exported

        use_exported(cfg, args.checkpoint)
    if args.tta:
        from swin_mmdet.detectors.views import use_tta

        use_tta(cfg)
    from swin_mmdet.engine import KeepDetectionsHook
    from swin_mmdet.engine.runner import StrictRunner

    runner = StrictRunner.from_cfg(cfg)
    runner.register_hook(KeepDetectionsHook())
    if args.out:
        from mmdet.evaluation import DumpDetResults

        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    return runner.test()


def draw_into(cfg: 'Config', folder: str) -> None:
    """Draw every image of the test into this folder."""
    hook = cfg.default_hooks.get('visualization')
    if hook is None:
        raise UserError('--show-dir needs a hook default_hooks.visualization; the config has none')
    hook.draw = True
    # a relative folder would be joined to the work-dir again with every image
    hook.test_out_dir = str(Path(folder).resolve())
    if cfg.get('visualizer', {}).get('type') in ('DetLocalVisualizer', 'mmdet.DetLocalVisualizer'):
        cfg.visualizer.type = 'swin_mmdet.DetLocalVisualizer'

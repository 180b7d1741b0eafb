"""Print the AP of the last evaluation as a table, and check it against a goal."""

import argparse
import json
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser
from swin_mmdet.errors import UserError
from swin_mmdet.report.history import scalars

ROWS = (('box', 'bbox'), ('mask', 'segm'))
COLUMNS = (('AP', 'mAP'), ('AP50', 'mAP_50'), ('AP75', 'mAP_75'))
MISSED = 1


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='the work-dir of train.py or test.py')
    parser.add_argument('--goal', metavar='METRIC=VALUE', help='such as segm_mAP_50=0.6; exit code 1 below it')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    values = last_evaluation(Path(args.work_dir))
    if not values:
        raise UserError(f'no evaluation in {args.work_dir}; run test.py with this --work-dir')
    name, _, wanted = (args.goal or '').partition('=')
    if args.goal and (name not in values or not is_number(wanted)):
        raise UserError(f'--goal {args.goal}: give METRIC=NUMBER, with one of {", ".join(values)}')
    print(table(values))
    return check(values, name, float(wanted)) if args.goal else 0


def last_evaluation(work_dir: Path) -> dict[str, float]:
    """Metric -> value of the newest evaluation, {} if there is none: a test's, or the last of a training."""
    # mmengine writes <time>/<time>.json for a test, a line for each step or evaluation of a training in the other file
    files = [path for path in work_dir.glob('*/*.json') if path.stem == path.parent.name]
    files += work_dir.glob('*/vis_data/scalars.json')
    # times sort as text
    for path in sorted(files, key=lambda path: path.relative_to(work_dir).parts[0], reverse=True):
        lines = list(scalars(path)) if path.name == 'scalars.json' else [json.loads(path.read_text())]
        for line in reversed(lines):
            values = {key.removeprefix('coco/'): value for key, value in line.items() if 'coco/' in key}
            if values:
                return values
    return {}


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def table(values: dict[str, float]) -> str:
    """AP in percent; a row for each of boxes and masks that was evaluated."""
    lines = ['      ' + ''.join(f'{title:>8}' for title, _ in COLUMNS)]
    for title, metric in ROWS:
        if f'{metric}_mAP' in values:
            cells = (values[f'{metric}_{name}'] for _, name in COLUMNS)
            lines.append(f'{title:<6}' + ''.join(f'{100 * cell:8.1f}' for cell in cells))
    return '\n'.join(lines)


def check(values: dict[str, float], name: str, wanted: float) -> int:
    reached = values[name] >= wanted
    print(f'{name} {values[name]:.3f}: {"reaches" if reached else "MISSES"} the expected {wanted}')
    return 0 if reached else MISSED

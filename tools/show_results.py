"""Print the AP of the last evaluation as a table, and check it against a goal."""

import argparse
import json
import sys
from pathlib import Path

from swin_mmdet.command_line import ArgumentParser

ROWS = (('box', 'bbox'), ('mask', 'segm'))
COLUMNS = (('AP', 'mAP'), ('AP50', 'mAP_50'), ('AP75', 'mAP_75'))
USER_ERROR, MISSED = 2, 1


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', help='the work-dir of test.py')
    parser.add_argument('--goal', metavar='METRIC=VALUE', help='such as segm_mAP_50=0.6; exit code 1 below it')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    # mmengine writes <time>/<time>.json, and times sort as text
    files = sorted(path for path in Path(args.work_dir).glob('*/*.json') if path.stem == path.parent.name)
    if not files:
        print(f'error: no evaluation in {args.work_dir}; run test.py with this --work-dir', file=sys.stderr)
        return USER_ERROR
    values = {key.removeprefix('coco/'): value for key, value in json.loads(files[-1].read_text()).items()}
    print(table(values))
    return check(values, args.goal) if args.goal else 0


def table(values: dict[str, float]) -> str:
    """AP in percent; a row for each of boxes and masks that was evaluated."""
    lines = ['      ' + ''.join(f'{title:>8}' for title, _ in COLUMNS)]
    for title, metric in ROWS:
        if f'{metric}_mAP' in values:
            cells = (values[f'{metric}_{name}'] for _, name in COLUMNS)
            lines.append(f'{title:<6}' + ''.join(f'{100 * cell:8.1f}' for cell in cells))
    return '\n'.join(lines)


def check(values: dict[str, float], goal: str) -> int:
    name, wanted = goal.split('=')
    reached = values[name] >= float(wanted)
    print(f'{name} {values[name]:.3f}: {"reaches" if reached else "MISSES"} the expected {wanted}')
    return 0 if reached else MISSED


if __name__ == '__main__':
    sys.exit(main())

"""Small data sets with one fault each, or none, at the three ways in: what is said of them, and is that right?

    python tools/benchmarks/data_faults.py [--only REGEX] [--subprocesses N] [--out FILE.csv]

The checks of `check_dataset.py FOLDER`, `train.py CONFIG` and `train.py --data FOLDER` run in this process. Of
`--subprocesses` cases the programs themselves are started, which have to come to the same end, without a traceback.
"""

import argparse
import contextlib
import csv
import os
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]
RESULTS = Path(__file__).parent / 'results' / 'data_faults.csv'
CONFIG = ROOT / 'configs/swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', default='', metavar='REGEX', help='of "KIND: NAME"')
    parser.add_argument('--subprocesses', type=int, default=0, metavar='N', help='cases for the programs themselves')
    parser.add_argument('--out', type=Path, default=RESULTS, metavar='FILE.csv')
    return parser.parse_args(argv)


def judged(case, door: str, data) -> tuple[str, str]:
    """The outcome, and what is wrong with it."""
    from fault_cases.doors import answer, verdict

    try:
        found = answer(door, data)
    except Exception:  # a traceback is what a case is about
        return 'traceback', traceback.format_exc(limit=-3)
    return found.outcome, verdict(case, door, found)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    warnings.filterwarnings('ignore')
    from fault_cases.doors import DOORS
    from fault_cases.every import CASES, made
    from fault_cases.programs import run_program

    cases = [case for case in CASES if re.search(args.only, f'{case.kind}: {case.name}')]
    every = max(len(cases) // args.subprocesses, 1) if args.subprocesses else 0
    rows, start = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(open(os.devnull, 'w')):
        for number, case in enumerate(cases):
            data = made(case, Path(folder) / str(number))
            answers = {door: judged(case, door, data) for door in DOORS}
            if every and number % every == 0:
                answers |= {f'{door}, the program': run_program(door, case, data) for door in DOORS}
            for door, (outcome, wrong) in answers.items():
                wrong = wrong.replace(folder, '').replace(str(ROOT), '')
                rows.append((case.kind, case.name, case.right, door, outcome, 'wrong' if wrong else 'right', wrong))
                if wrong:
                    print(f'WRONG {case.kind}: {case.name} | {door} | {wrong}')
    args.out.parent.mkdir(exist_ok=True)
    with open(args.out, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(('kind', 'case', 'right is', 'door', 'outcome', 'verdict', 'instead'))
        writer.writerows(rows)
    for door in dict.fromkeys(row[3] for row in rows):
        counts = Counter(row[5] for row in rows if row[3] == door)
        print(f'{door}: {counts["right"]} of {sum(counts.values())} right')
    print(f'{len(cases)} cases, {time.monotonic() - start:.0f} s')
    return int(any(row[5] == 'wrong' for row in rows))


if __name__ == '__main__':
    sys.exit(main())

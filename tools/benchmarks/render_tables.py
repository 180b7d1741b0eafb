"""Write the result tables of README.md from the files in tools/benchmarks/results, between their markers.

    python tools/benchmarks/render_tables.py [--check]

`--check` changes nothing and fails when a table does not say what the files say.
"""

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = Path(__file__).parent / 'results'


def runs_table() -> str:
    """The training runs: final AP, speed, memory, conditions; a row for every JSON that `summarise_run.py` wrote."""
    rows = [
        '| run | iterations | box AP | mask AP | s/iteration | waiting for data, s | peak GB | device, torch | note |',
        '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ]
    for path in sorted(RESULTS.glob('*.json')):
        run = json.loads(path.read_text())
        where, final = run['conditions'], run['final']
        cells = (
            f'[{run["name"]}](tools/benchmarks/results/{path.name})',
            run['iterations'],
            f'{final["bbox_mAP"]:.3f}',
            f'{final["segm_mAP"]:.3f}',
            f'{run["seconds_per_iteration"]:.2f}',
            f'{run["seconds_waiting_for_data"]:.2f}',
            f'{run["peak_memory_mb"] / 1024:.1f}' if run['peak_memory_mb'] else '',
            f'{where["device"]}, {where["torch"]}',
            where['note'],
        )
        rows.append('| ' + ' | '.join(map(str, cells)) + ' |')
    return '\n'.join(rows)


TABLES = {'runs': runs_table}


def render(text: str) -> str:
    """The text with every `<!-- table NAME -->` ... `<!-- end NAME -->` filled anew."""
    for name, table in TABLES.items():
        start, end = f'<!-- table {name} -->', f'<!-- end {name} -->'
        before, rest = text.split(start)
        text = f'{before}{start}\n{table()}\n{end}{rest.split(end)[1]}'
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true')
    check = parser.parse_args().check
    readme = ROOT / 'README.md'
    old = readme.read_text()
    new = render(old)
    if check and new != old:
        print('README.md differs from tools/benchmarks/results; run tools/benchmarks/render_tables.py', file=sys.stderr)
        return 1
    readme.write_text(new)
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""Write the result tables of README.md from the files in tools/benchmarks/results, between their markers.

    python tools/benchmarks/render_tables.py [--check]

`--check` changes nothing and fails when a table does not say what the files say.
"""

import argparse
import csv
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


FORMATS = {
    'swin_mmdet': ('ours', ''),
    'microsoft': (
        'Microsoft classification V1 and V2, with or without the extras for resuming',
        "timm's own conversion",
    ),
    'official': ('official detection code and mmdet 2.x, backbones and whole detectors', 'published key lists'),
    'mmdet': ('mmdet 3.x and onedl, backbones and whole detectors', ''),
    'mmpretrain': ('mmpretrain V1 and V2', 'published key lists'),
    'timm': ('timm V1 and V2', ''),
    'timm_features': ('timm, `features_only`', 'timm, in the tests'),
    'torchvision': ('torchvision V1 and V2', ''),
    'transformers': ('transformers Swin, SwinBackbone, Swinv2', ''),
    'detectron2': ('detectron2 `.pkl` and `.pth`', 'published key lists'),
    'moby': ('MoBY, the online encoder', 'published key lists'),
    'simmim': ('SimMIM V1 and V2, the encoder', 'published key lists'),
}


def formats_table() -> str:
    """The checkpoint formats, with what `checkpoint_parity.py` measured."""
    with (RESULTS / 'checkpoint_parity.csv').open() as file:
        measured = {row['format']: row for row in csv.DictReader(file)}
    rows = [
        '| format | files | read | write | verified against: largest difference of any map |',
        '| --- | --- | --- | --- | --- |',
    ]
    for name, (files, source) in FORMATS.items():
        row = measured.pop(name)
        verified = row['library'] or source
        if row['largest difference']:
            verified += f': {row["largest difference"]}'
        write = 'as `official`' if name == 'microsoft' else row['write']
        rows.append(f'| `{name}` | {files} | yes | {write} | {verified} |')
    assert not measured, f'no description of {sorted(measured)}'
    return '\n'.join(rows)


def memory_table() -> str:
    """What `checkpoint_memory.py` measured."""
    with (RESULTS / 'checkpoint_memory.csv').open() as file:
        rows = list(csv.DictReader(file))
    names = ('file', 'loaded with', 'file, MiB', 'peak besides the model, MiB', 'seconds')
    lines = ['| ' + ' | '.join(names) + ' |', '| --- ' * len(names) + '|']
    return '\n'.join(lines + ['| ' + ' | '.join(row[name] for name in names) + ' |' for row in rows])


def attention_table() -> str:
    """What `shifted_window_attention.py` measured: medians of each backend, beside the floor of the memory traffic."""
    blocks = []
    for path in sorted(RESULTS.glob('shifted_window_attention-*.csv')):
        with path.open() as file:
            rows = list(csv.DictReader(file))
        backends = list(dict.fromkeys(row['backend'] for row in rows))
        cases: dict[tuple[str, ...], dict[str, str]] = {}
        for row in rows:
            case = row['stage'], row['batch'], f'{row["dtype"]}, {row["direction"]}', row['floor ms']
            cases.setdefault(case, {})[row['backend']] = f'{float(row["median ms"]):.2f} ({float(row["peak MiB"]):.0f})'
        names = ['stage', 'batch', '', *(f'{name}, ms (peak MiB)' for name in backends), 'floor, ms']
        lines = ['| ' + ' | '.join(names) + ' |', '| --- ' * len(names) + '|']
        for (*case, floor), found in cases.items():
            cells = [*case, *(found[name] for name in backends), f'{float(floor):.2f}']
            lines.append('| ' + ' | '.join(cells) + ' |')
        where = f'{rows[0]["gpu"]}, torch {rows[0]["torch"]}, triton {rows[0]["triton"]}'
        if 'window' in rows[0]:
            where = f'{rows[0]["attention"]} attention, window {rows[0]["window"]}: {where}'
        blocks.append(f'[{where}](tools/benchmarks/results/{path.name}):\n\n' + '\n'.join(lines))
    return '\n\n'.join(blocks)


TABLES = {'attention': attention_table, 'runs': runs_table, 'formats': formats_table, 'memory': memory_table}


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

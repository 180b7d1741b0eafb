"""Write the result tables of the READMEs from the files in tools/benchmarks/results, between their markers.

    python tools/benchmarks/render_tables.py [--check]

`--check` changes nothing and fails when a table does not say what the files say.
"""

import argparse
import csv
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = Path(__file__).resolve().parent / 'results'
FILES = (ROOT / 'README.md', ROOT / 'tools/README.md', ROOT / 'tools/benchmarks/README.md')
NOT_YET = 'Not measured yet.'


def markdown(names: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table."""
    lines = [names, ['---' for _ in names], *rows]
    return '\n'.join('| ' + ' | '.join(map(str, cells)) + ' |' for cells in lines)


def link(text: str, path: Path, here: Path) -> str:
    """A link to a result from a file in the folder `here`."""
    return f'[{text}]({Path(os.path.relpath(path, here)).as_posix()})'


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def read_all(pattern: str) -> dict[Path, list[dict[str, str]]]:
    """The rows of every file of that name."""
    return {path: read_csv(path) for path in sorted(RESULTS.glob(pattern))}


def device_of(row: dict[str, str]) -> str:
    triton = f', triton {row["triton"]}' if row['triton'] else ''
    return f'{row["device"]}, torch {row["torch"]}{triton}'


def runs_table(here: Path) -> str:
    """The training runs: final AP, speed, memory, conditions; a row for every JSON that `summarise_run.py` wrote."""
    names = 'run', 'iterations', 'box AP', 'mask AP', 's/iteration', 'waiting for data, s', 'peak GB'
    rows = []
    for path in sorted(RESULTS.glob('*.json')):
        run = json.loads(path.read_text())
        where, final = run['conditions'], run['final']
        rows.append(
            (
                link(run['name'], path, here),
                run['iterations'],
                f'{final["bbox_mAP"]:.3f}',
                f'{final["segm_mAP"]:.3f}' if 'segm_mAP' in final else '',
                f'{run["seconds_per_iteration"]:.2f}',
                f'{run["seconds_waiting_for_data"]:.2f}',
                f'{run["peak_memory_mb"] / 1024:.1f}' if run['peak_memory_mb'] else '',
                f'{where["device"]}, {where["torch"]}',
                where['note'],
            )
        )
    return markdown((*names, 'device, torch', 'note'), rows)


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


def formats_table(_here: Path) -> str:
    """The checkpoint formats, with what `checkpoint_parity.py` measured."""
    measured = {row['format']: row for row in read_csv(RESULTS / 'checkpoint_parity.csv')}
    rows = []
    for name, (files, source) in FORMATS.items():
        row = measured.pop(name)
        verified = row['library'] or source
        if row['largest difference']:
            verified += f': {row["largest difference"]}'
        write = 'as `official`' if name == 'microsoft' else row['write']
        rows.append((f'`{name}`', files, 'yes', write, verified))
    assert not measured, f'no description of {sorted(measured)}'
    return markdown(('format', 'files', 'read', 'write', 'verified against: largest difference of any map'), rows)


def memory_table(_here: Path) -> str:
    """What `checkpoint_memory.py` measured."""
    names = ('file', 'loaded with', 'file, MiB', 'peak besides the model, MiB', 'seconds')
    rows = read_csv(RESULTS / 'checkpoint_memory.csv')
    return markdown(names, ([row[name] for name in names] for row in rows))


def attention_table(here: Path) -> str:
    """What `shifted_window_attention.py` measured: medians of each backend, beside the floor of the memory traffic."""
    blocks = []
    for path, rows in read_all('shifted_window_attention-*.csv').items():
        backends = list(dict.fromkeys(row['backend'] for row in rows))
        cases: dict[tuple[str, ...], dict[str, str]] = {}
        for row in rows:
            case = row['stage'], row['batch'], f'{row["dtype"]}, {row["direction"]}', row['floor ms']
            cases.setdefault(case, {})[row['backend']] = f'{float(row["median ms"]):.2f} ({float(row["peak MiB"]):.0f})'
        names = ['stage', 'batch', '', *(f'{name}, ms (peak MiB)' for name in backends), 'floor, ms']
        cells = [
            [*case, *(found[name] for name in backends), f'{float(floor):.2f}']
            for (*case, floor), found in cases.items()
        ]
        where = device_of(rows[0])
        if 'window' in rows[0]:
            where = f'{rows[0]["attention"]} attention, window {rows[0]["window"]}: {where}'
        blocks.append(f'{link(where, path, here)}:\n\n{markdown(names, cells)}')
    return '\n\n'.join(blocks) or NOT_YET


def case_of(row: dict[str, str]) -> str:
    return f'{row["mode"]}, batch {row["batch"]}'


def model_of(row: dict[str, str]) -> str:
    return f'{row["variant"]}, window {row["window"]}, {row["dtype"]}'


def speed_table(here: Path) -> str:
    """What `backbone.py` measured of ours in one line a case, in proportion to mmdet and compiled timm.

    In bf16, and on a CPU; the other types are in the full tables, and so is what has been measured again since.
    """
    newest: dict[tuple[str, ...], tuple[Path, dict[str, dict[str, str]]]] = {}
    for path, measured in read_all('backbone-*.csv').items():
        cases: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
        for row in measured:
            if not row['problem'] and row['dtype'] in ('bf16', 'fp32'):
                cases.setdefault((model_of(row), case_of(row), row['device']), {})[row['peer']] = row
        for case, found in cases.items():
            if not {'ours', 'mmdet'} <= set(found):
                continue
            if case not in newest or newest[case][1]['ours']['date'] <= found['ours']['date']:
                newest[case] = path, found
    rows = []
    for (*case, device), (path, found) in newest.items():
        one, other = found['ours'], found['mmdet']
        memory = ''
        if one['peak GiB']:
            peaks = float(one['peak GiB']), float(other['peak GiB'])
            memory = f'{peaks[0]:.1f} / {peaks[1]:.1f} ({peaks[0] / peaks[1]:.2f})'
        milliseconds = [f'{float(row["median ms"]):.4g}' for row in (one, other)]
        ratios = [f'{float(one[name]):.2f}' if one[name] else '' for name in ('to mmdet', 'to timm compiled')]
        rows.append((*case, *milliseconds, *ratios, memory, link(device, path, here)))
    names = 'Swin', 'step', 'ours, ms', 'mmdet, ms', 'ours / mmdet', 'ours / compiled timm'
    return markdown((*names, 'peak GiB: ours / mmdet', 'device'), rows) if rows else NOT_YET


def backbone_table(here: Path) -> str:
    """All that `backbone.py` measured: a table for each model, a row for each peer, a column for each case."""
    blocks = []
    for path, rows in read_all('backbone-*.csv').items():
        tables: dict[str, dict[str, dict[str, str]]] = {}
        for row in rows:
            tables.setdefault(model_of(row), {}).setdefault(row['peer'], {})[case_of(row)] = backbone_cell(row)
        blocks.append(f'{link(device_of(rows[0]), path, here)}:')
        for model, peers in tables.items():
            cases = list(dict.fromkeys(case for found in peers.values() for case in found))
            cells = ([peer, *(found.get(case, '') for case in cases)] for peer, found in peers.items())
            blocks.append(markdown([model, *cases], cells))
    return '\n\n'.join(blocks) or NOT_YET


def backbone_cell(row: dict[str, str]) -> str:
    if row['problem']:
        return row['problem'].replace('|', '\\|')[:80]
    cell = f'{float(row["median ms"]):.4g} ms'
    if row['to mmdet']:
        cell += f' ({float(row["to mmdet"]):.2f})'
    if row['kernels']:
        launch = float(row['launch us']) / 1000
        cell += f', {float(row["peak GiB"]):.1f} GiB, {row["kernels"]} kernels in {launch:.1f} ms'
    return cell


def backbone_memory_table(here: Path) -> str:
    """What `backbone_memory.py` measured: a row for each variant, a column for each choice of stages."""
    blocks = []
    for path, rows in read_all('backbone_memory-*.csv').items():
        variants: dict[str, dict[str, str]] = {}
        for row in rows:
            name = f'{model_of(row)}, batch {row["batch"]}'
            stages = row['checkpointed stages']
            time, peak = f'{float(row["median ms"]):.4g} ms', f'{float(row["peak GiB"]):.2f} GiB'
            if stages != 'none':
                time += f' ({float(row["time to none"]):.2f})'
                peak += f' ({float(row["memory to none"]):.2f})'
            variants.setdefault(name, {})[stages] = f'{time}, {peak}'
        choices = list(dict.fromkeys(row['checkpointed stages'] for row in rows))
        cells = ([name, *(found[choice] for choice in choices)] for name, found in variants.items())
        table = markdown(['checkpointed stages', *choices], cells)
        blocks.append(f'{link(device_of(rows[0]), path, here)}:\n\n{table}')
    return '\n\n'.join(blocks) or NOT_YET


def detector_cases() -> Iterator[tuple[Path, dict[str, dict[str, str]]]]:
    """The rows of every case that `detector.py` measured, by peer."""
    for path, rows in read_all('detector-*.csv').items():
        cases: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
        for row in rows:
            key = tuple(row[name] for name in ('detector', 'mode', 'batch', 'height', 'width', 'objects'))
            cases.setdefault(key, {})[row['peer']] = row
        yield from ((path, found) for found in cases.values())


def detector_case(row: dict[str, str]) -> tuple[str, str]:
    size = f'{row["batch"]} x {row["height"]}x{row["width"]}, {row["objects"]} objects'
    return row['detector'], f'{row["mode"]}, {size}'


def detectors_table(here: Path) -> str:
    """What `detector.py` measured of ours in one line a case, in proportion to mmdet."""
    rows = []
    for path, found in detector_cases():
        if not {'ours', 'mmdet'} <= set(found) or any(row['failed'] for row in found.values()):
            continue
        one, other = found['ours'], found['mmdet']
        pair = [float(row['median ms']) for row in (one, other)]
        memory = ' / '.join(f'{float(row["peak MiB"]) / 1024:.1f}' for row in (one, other))
        numbers = f'{pair[0]:.4g}', f'{pair[1]:.4g}', f'{pair[0] / pair[1]:.2f}', memory
        rows.append((*detector_case(one), *numbers, link(one['device'], path, here)))
    names = 'Swin-T', 'step', 'ours, ms', 'mmdet, ms', 'ours / mmdet', 'peak GiB: ours / mmdet', 'device'
    return markdown(names, rows) if rows else NOT_YET


def parts_table(here: Path) -> str:
    """The parts of these steps: a table for each detector, a row for each peer and case."""
    rows = []
    parts = 'preprocess', 'backbone', 'neck', 'rpn', 'roi', 'backward', 'optimizer'
    for path, found in detector_cases():
        for peer, row in found.items():
            numbers = [f'{float(row[f"{part} ms"]):.1f}' if row[f'{part} ms'] else '' for part in parts]
            whole = f'{float(row["median ms"]):.1f}', f'{float(row["peak MiB"]) / 1024:.1f}', row['kernels']
            detector, case = detector_case(row)
            gpu = f'{float(row["GPU busy"]):.2f}', row['synchronisations']
            rows.append((f'{detector}, {case}', link(peer, path, here), *numbers, *whole, *gpu))
    names = 'step', 'parts', *parts, 'whole', 'peak GiB', 'kernels', 'GPU busy', 'waits'
    return markdown(names, rows) if rows else NOT_YET


def neck_and_heads_table(here: Path) -> str:
    """What `neck_and_heads.py` measured, a row for each way."""
    blocks = []
    names = 'step', 'way', 'ms', 'to as it is', 'GPU ms', 'kernels', 'peak GiB', 'first step, s', 'a new size, s'
    for path, rows in read_all('neck_and_heads-*.csv').items():
        cells = []
        for row in rows:
            ratio = f'{float(row["to as it is"]):.2f}' if row['to as it is'] else ''
            times = f'{float(row["median ms"]):.1f}', ratio, f'{float(row["GPU ms"]):.1f}'
            waits = (f'{float(row[name]):.1f}' for name in ('first step s', 'new size s'))
            peak = f'{float(row["peak MiB"]) / 1024:.1f}'
            cells.append((', '.join(detector_case(row)), row['way'], *times, row['kernels'], peak, *waits))
        blocks.append(f'{link(device_of(rows[0]), path, here)}:\n\n{markdown(names, cells)}')
    return '\n\n'.join(blocks) or NOT_YET


def data_table(here: Path) -> str:
    """What `data.py` measured of the pipeline, a row for each step; its decoders are in the file alone."""
    blocks = []
    for path, rows in read_all('data-*.csv').items():
        steps: dict[str, dict[str, dict[str, str]]] = {}
        for row in rows:
            steps.setdefault(row['step'], {})[row['way']] = row
        cells = []
        for step, found in steps.items():
            if {'mmdet', 'ours'} <= set(found):
                pair = [found[way] for way in ('mmdet', 'ours')]
                times = [f'{float(row["ms an image"]):.2f}' if row['ms an image'] else '' for row in pair]
                rates = [f'{float(row["images a second"]):.0f}' if row['images a second'] else '' for row in pair]
                sizes = [f'{float(row["KiB pickled"]):.0f}' if row['KiB pickled'] else '' for row in pair]
                cells.append((step, *times, *rates, *sizes))
        names = [f'{name}: {way}' for name in ('ms', 'images a second', 'KiB pickled') for way in ('mmdet', 'ours')]
        title = f'{rows[0]["config"]}, {rows[0]["images"]} images; {device_of(rows[0])}'
        blocks.append(f'{link(title, path, here)}:\n\n{markdown(["of an image", *names], cells)}')
    return '\n\n'.join(blocks) or NOT_YET


def data_check_table(here: Path) -> str:
    """What `data_check.py` measured, a row for each way to check and kind of images."""
    path = RESULTS / 'data_check.csv'
    if not path.exists():
        return NOT_YET
    names = 'check', 'images', 'kB an image', 'annotations', 's', 'of it annotations', 'CPU s', 'load'
    keys = 'check', 'images', 'kB an image', 'objects', 'all s', 'annotations s', 'cpu s', 'load'
    rows = [[row[key] for key in keys] for row in read_csv(path)]
    return f'{link("data_check.csv", path, here)}:\n\n{markdown(names, rows)}'


def time_table(here: Path) -> str:
    """What `where_time_goes.py` measured: the groups of a step, each with its largest kernel."""
    blocks = []
    for path, rows in read_all('where_time_goes-*.csv').items():
        cells = []
        for row, following in zip(rows, [*rows[1:], None], strict=True):
            if row['kernel'] != 'all':
                continue
            floor, share = '', ''
            if row['floor us']:
                floor, share = f'{float(row["floor us"]):.0f}', f'{float(row["floor us"]) / float(row["us"]):.2f}'
            largest = f'`{following["kernel"][:60]}`' if following and following['kernel'] != 'all' else ''
            numbers = f'{float(row["calls"]):g}', f'{float(row["us"]):.0f}', f'{float(row["share"]):.2f}'
            cells.append((row['group'], *numbers, floor, share, largest))
        first = rows[0]
        title = f'{first["peer"]}, {model_of(first)}, batch {first["batch"]}; {device_of(first)}'
        names = 'group', 'kernels', 'us', 'of the step', 'floor, us', 'floor / time', 'largest kernel'
        blocks.append(f'{link(title, path, here)}:\n\n{markdown(names, cells)}')
    return '\n\n'.join(blocks) or NOT_YET


def faults_table(here: Path) -> str:
    """What `faults.py` saw, a row for each fault."""
    blocks = []
    for path, rows in read_all('faults-*.csv').items():
        cells = [(row['fault'], row['seen'], 'yes' if row['right'] == 'True' else '**no**') for row in rows]
        names = 'fault', 'seen', 'as it must be'
        blocks.append(f'{link(device_of(rows[0]), path, here)}:\n\n{markdown(names, cells)}')
    return '\n\n'.join(blocks) or NOT_YET


def export_table(here: Path) -> str:
    """What `export_families.py` measured: a row for each family and kind of sizes, a column for each kind of file."""
    blocks = []
    for path, rows in read_all('export_families-*.csv').items():
        cases: dict[tuple[str, ...], dict[str, str]] = {}
        for row in rows:
            backbone = 'V2' if row['backbone'].endswith('V2') else 'V1'
            cases.setdefault((f'{row["family"]}, {backbone}', row['sizes']), {})[row['to']] = export_cell(row)
        kinds = list(dict.fromkeys(kind for found in cases.values() for kind in found))
        cells = ([*case, *(found.get(kind, '') for kind in kinds)] for case, found in cases.items())
        table = markdown(['family, backbone', 'sizes', *(f'`--to {kind}`' for kind in kinds)], cells)
        blocks.append(f'{link(device_of(rows[0]), path, here)}:\n\n{table}')
    return '\n\n'.join(blocks) or NOT_YET


def export_cell(row: dict[str, str]) -> str:
    if row['problem']:
        return 'no: ' + row['problem'].replace('|', '\\|')[:120]
    masks = f', masks {row["masks IoU"]} IoU' if row['masks IoU'] else ''
    return f'boxes {row["boxes px"]} px, scores {row["scores"]}{masks} ({row["detections"]} pairs)'


def export_speed_table(here: Path) -> str:
    """What `export_speed.py` measured, a row for each way to compute."""
    blocks = []
    for path, rows in read_all('export_speed-*.csv').items():
        first = rows[0]
        names = 'way', 'ms (20 %, 80 %)', 'times as fast as eager', 'MB', f'the same of {first["detections"]}'
        cells = []
        for row in rows:
            times = f'{row["median ms"]} ({row["p20 ms"]}, {row["p80 ms"]})'
            same = '' if row is first else f'{row["partners"]}: boxes {row["boxes px"]} px, scores {row["scores"]}'
            cells.append((row['way'], times, row['to eager'], row['MB'], same))
        title = f'{first["height"]}x{first["width"]}; {device_of(first)}'
        blocks.append(f'{link(title, path, here)}:\n\n{markdown(names, cells)}')
    return '\n\n'.join(blocks) or NOT_YET


def export_ap_table(here: Path) -> str:
    """What `export_ap.py` measured, a row for each kind of file."""
    blocks = []
    names = 'way', 'sizes', 'box AP', 'mask AP', 'MB'
    for path, rows in read_all('export_ap-*.csv').items():
        title = f'{rows[0]["config"]}; {device_of(rows[0])}'
        table = markdown(names, ([row[name] for name in names] for row in rows))
        blocks.append(f'{link(title, path, here)}:\n\n{table}')
    return '\n\n'.join(blocks) or NOT_YET


TABLES = {
    'attention': attention_table,
    'backbone': backbone_table,
    'backbone_memory': backbone_memory_table,
    'data': data_table,
    'data_check': data_check_table,
    'detectors': detectors_table,
    'export': export_table,
    'export_ap': export_ap_table,
    'export_speed': export_speed_table,
    'faults': faults_table,
    'parts': parts_table,
    'formats': formats_table,
    'memory': memory_table,
    'neck_and_heads': neck_and_heads_table,
    'runs': runs_table,
    'speed': speed_table,
    'time': time_table,
}
MARKED = re.compile(r'(<!-- table (\w+) -->\n).*?(<!-- end \2 -->)', re.DOTALL)


def render(text: str, here: Path) -> str:
    """The text with every `<!-- table NAME -->` ... `<!-- end NAME -->` filled anew."""
    return MARKED.sub(lambda found: f'{found[1]}{TABLES[found[2]](here)}\n{found[3]}', text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true')
    check = parser.parse_args().check
    code = 0
    for path in FILES:
        old = path.read_text()
        new = render(old, path.parent)
        if new == old:
            continue
        if check:
            print(f'{path.relative_to(ROOT)} differs from the results; run {sys.argv[0]}', file=sys.stderr)
            code = 1
        else:
            path.write_text(new)
    return code


if __name__ == '__main__':
    sys.exit(main())

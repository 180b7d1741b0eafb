"""Tables of training runs, checkpoints, pipelines of data and faults."""

import json
from pathlib import Path

from result_tables import rows as result_files
from result_tables.rows import NOT_YET, device_of, link, markdown, read_all, read_csv

# of a check
OUTCOMES = 'refused', 'warned', 'accepted'


def runs_table(here: Path) -> str:
    """The training runs: final AP, speed, memory, conditions; a row for every JSON that `summarise_run.py` wrote."""
    names = 'run', 'iterations', 'box AP', 'mask AP', 's/iteration', 'waiting for data, s', 'peak GB'
    rows = []
    for path in sorted(result_files.RESULTS.glob('*.json')):
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
    measured = {row['format']: row for row in read_csv(result_files.RESULTS / 'checkpoint_parity.csv')}
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
    rows = read_csv(result_files.RESULTS / 'checkpoint_memory.csv')
    return markdown(names, ([row[name] for name in names] for row in rows))


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
    path = result_files.RESULTS / 'data_check.csv'
    if not path.exists():
        return NOT_YET
    names = 'check', 'images', 'kB an image', 'annotations', 's', 'of it annotations', 'CPU s', 'load'
    keys = 'check', 'images', 'kB an image', 'objects', 'all s', 'annotations s', 'cpu s', 'load'
    rows = [[row[key] for key in keys] for row in read_csv(path)]
    return f'{link("data_check.csv", path, here)}:\n\n{markdown(names, rows)}'


def data_faults_table(here: Path) -> str:
    """What `data_faults.py` was told of small data sets: for each kind how many cases each door got right."""
    path = result_files.RESULTS / 'data_faults.csv'
    rows = read_csv(path)
    doors = [door for door in dict.fromkeys(row['door'] for row in rows) if not door.endswith('program')]
    cells = []
    for kind in [*dict.fromkeys(row['kind'] for row in rows), 'all']:
        own = [row for row in rows if kind in (row['kind'], 'all')]
        wanted = [row['right is'] for row in own if row['door'] == doors[0]]
        right = [sum(row['verdict'] == 'right' for row in own if row['door'] == door) for door in doors]
        cells.append((kind, len(wanted), *map(wanted.count, OUTCOMES), *right))
    names = ('kind', 'cases', *(f'{outcome} is right' for outcome in OUTCOMES), *(f'right: {door}' for door in doors))
    return f'{link("data_faults.csv", path, here)}:\n\n{markdown(names, cells)}'


def faults_table(here: Path) -> str:
    """What `faults.py` saw, a row for each fault."""
    blocks = []
    for path, rows in read_all('faults-*.csv').items():
        cells = [(row['fault'], row['seen'], 'yes' if row['right'] == 'True' else '**no**') for row in rows]
        names = 'fault', 'seen', 'as it must be'
        blocks.append(f'{link(device_of(rows[0]), path, here)}:\n\n{markdown(names, cells)}')
    return '\n\n'.join(blocks) or NOT_YET


def saving_table(here: Path) -> str:
    """What `saving.py` measured, a row for each way to save."""
    blocks = []
    for path, rows in read_all('saving-*.csv').items():
        names = 'training', 'way', 'MiB', 'step ms', 'a save holds up ms', 'until written ms', 'step beside to step'
        cells = [[row[name] for name in names] for row in rows]
        blocks.append(f'{link(device_of(rows[0]), path, here)}:\n\n{markdown(names, cells)}')
    return '\n\n'.join(blocks) or NOT_YET


def soak_table(here: Path) -> str:
    """What `soak.py` measured, a row for each quantity."""
    blocks = []
    for path, rows in read_all('soak-*.csv').items():
        title = f'{rows[0]["config"]}, {rows[0]["steps"]} steps; {device_of(rows[0])}'
        names = 'quantity', 'first', 'last', 'growth', 'bound'
        shown = 'quantity', 'first', 'last', 'growth in 1,000 steps', 'bound'
        blocks.append(f'{link(title, path, here)}:\n\n{markdown(shown, [[row[n] for n in names] for row in rows])}')
    return '\n\n'.join(blocks) or NOT_YET

"""Tables of whole detectors."""

from collections.abc import Iterator
from pathlib import Path

from result_tables.rows import NOT_YET, device_of, link, markdown, read_all


def detector_cases() -> Iterator[tuple[Path, dict[str, dict[str, str]]]]:
    """The rows of every case that `detector.py` measured, by peer."""
    for path, rows in read_all('detector-*.csv').items():
        cases: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
        for row in rows:
            key = tuple(row[name] for name in ('detector', 'mode', 'batch', 'height', 'width', 'objects'))
            cases.setdefault(key, {})[row['peer']] = row
        yield from ((path, found) for found in cases.values())


def detector_case(row: dict[str, str]) -> tuple[str, str]:
    return row['detector'], f'{row["mode"]}, {_size(row)}'


def _size(row: dict[str, str]) -> str:
    return f'{row["batch"]} x {row["height"]}x{row["width"]}, {row["objects"]} objects'


def detectors_table(here: Path) -> str:
    """What `detector.py` measured of ours in one line a batch, in proportion to mmdet.

    Of batches whose training and inference are in one file, of several the newest.
    """
    lines: dict[tuple[str, str, Path], dict[str, str]] = {}
    for path, found in detector_cases():
        if not {'ours', 'mmdet'} <= set(found) or any(found[peer]['failed'] for peer in ('ours', 'mmdet')):
            continue
        one, other = found['ours'], found['mmdet']
        pair = [float(row['median ms']) for row in (one, other)]
        cells = lines.setdefault((one['detector'], _size(one), path), {'device': one['device'], 'date': one['date']})
        cells[one['mode']] = f'{pair[0]:.4g} / {pair[1]:.4g} ({pair[0] / pair[1]:.2f})'
        if one['mode'] == 'train':
            cells['peak'] = ' / '.join(f'{float(row["peak MiB"]) / 1024:.1f}' for row in (one, other))
    newest: dict[tuple[str, str], tuple[Path, dict[str, str]]] = {}
    for (*case, path), cells in lines.items():
        is_newer = tuple(case) not in newest or newest[tuple(case)][1]['date'] < cells['date']
        if {'train', 'infer'} <= set(cells) and is_newer:
            newest[tuple(case)] = path, cells
    rows = [
        (*case, *(cells[key] for key in ('train', 'infer', 'peak')), link(cells['device'], path, here))
        for case, (path, cells) in newest.items()
    ]
    names = 'ours / mmdet', 'batch', 'training step, ms', 'inference, ms', 'peak of training, GiB', 'device'
    return markdown(names, rows) if rows else NOT_YET


def parts_table(here: Path) -> str:
    """The parts of these steps: a table for each detector, a row for each peer and case."""
    rows = []
    parts = 'preprocess', 'backbone', 'neck', 'rpn', 'roi', 'transformer', 'head', 'backward', 'optimizer'
    for path, found in detector_cases():
        for peer, row in found.items():
            step = ', '.join(detector_case(row))
            if row['failed']:
                rows.append((step, link(peer, path, here), row['failed'], *[''] * (len(parts) + 4)))
                continue
            numbers = [_number(row.get(f'{part} ms'), 1) for part in parts]
            whole = f'{float(row["median ms"]):.1f}', f'{float(row["peak MiB"]) / 1024:.1f}', row['kernels']
            gpu = f'{float(row["GPU busy"]):.2f}', row['synchronisations']
            rows.append((step, link(peer, path, here), *numbers, *whole, *gpu))
    names = 'step', 'parts', *parts, 'whole', 'peak GiB', 'kernels', 'GPU busy', 'waits'
    return markdown(names, rows) if rows else NOT_YET


def _number(text: str | None, digits: int) -> str:
    return f'{float(text):.{digits}f}' if text else ''


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

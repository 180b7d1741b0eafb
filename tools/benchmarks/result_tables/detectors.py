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

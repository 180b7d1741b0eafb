"""Tables of exported detectors."""

from pathlib import Path

from result_tables.rows import NOT_YET, device_of, link, markdown, read_all


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
        devices = '; '.join(dict.fromkeys(map(device_of, rows)))
        blocks.append(f'{link(devices, path, here)}:\n\n{table}')
    return '\n\n'.join(blocks) or NOT_YET


def export_cell(row: dict[str, str]) -> str:
    if row['problem']:
        return 'no: ' + row['problem'].replace('|', '\\|')[:120]
    masks = f', masks {row["masks IoU"]} IoU' if row['masks IoU'] else ''
    return f'boxes {row["boxes px"]} px, scores {row["scores"]}{masks} ({row["detections"]} pairs)'


def export_full_size_table(here: Path) -> str:
    """What `export_full_size.py` measured, a row for each detector and kind of file."""
    blocks = []
    names = 'detector, weights', 'file', 'the same as eager', 'exported in s', 'eager ms', 'file ms', 'MB'
    for path, rows in read_all('export_full_size-*.csv').items():
        cells = []
        for row in rows:
            parts = [row[name] for name in ('traced in s', 'written and proven in s') if row[name]]
            taken = ' + '.join(parts) if not row['problem'] else ''
            kind = f'`--to {row["to"]}`'
            name = f'{row["detector"]}, {row["weights"]}'
            cells.append((name, kind, export_cell(row), taken, row['eager ms'], row['file ms'], row['MB']))
        title = f'{rows[0]["height"]}x{rows[0]["width"]}; {device_of(rows[0])}'
        blocks.append(f'{link(title, path, here)}:\n\n{markdown(names, cells)}')
    return '\n\n'.join(blocks) or NOT_YET


def export_speed_table(here: Path) -> str:
    """What `export_speed.py` measured, a row for each way to compute."""
    blocks = []
    for path, rows in read_all('export_speed-*.csv').items():
        first = rows[0]
        names = 'way', 'ms (20 %, 80 %)', 'times as fast as eager', 'MB', f'of {first["detections"]} in the first image'
        cells = []
        for row in rows:
            times = f'{row["median ms"]} ({row["p20 ms"]}, {row["p80 ms"]})'
            cells.append((row['way'], times, row['to eager'], row['MB'], row['beside eager']))
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

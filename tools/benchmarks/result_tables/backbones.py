"""Tables of the attention op and of whole backbones."""

from pathlib import Path

from result_tables.rows import NOT_YET, case_of, device_of, link, markdown, model_of, read_all


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


def speed_table(here: Path) -> str:
    """What `backbone.py` measured of ours with Swin-T in one line a case, in proportion to mmdet and compiled timm.

    In bf16, and on a CPU; the other types are in the full tables, and so is what has been measured again since.
    """
    newest: dict[tuple[str, ...], tuple[Path, dict[str, dict[str, str]]]] = {}
    for path, measured in read_all('backbone-*.csv').items():
        cases: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
        for row in measured:
            if not row['problem'] and row['dtype'] in ('bf16', 'fp32') and row['variant'] == 'tiny':
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

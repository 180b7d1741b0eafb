"""Tables of the whole zoo on a GPU, of deformable operations, and of what half precision and training show."""

from pathlib import Path

from result_tables.rows import NOT_YET, device_of, link, markdown, read_all

MODES = 'train', 'train --amp', 'infer', 'infer fp16', 'infer bf16'
STEPS = 100, 200, 400, 800


def zoo_table(here: Path) -> str:
    """What `zoo_on_gpu.py` tried: a row for each environment, with what failed in words."""
    rows = []
    for path, found in read_all('zoo_on_gpu-*.csv').items():
        ok = []
        for mode in MODES:
            tried = [row for row in found if row['mode'] == mode]
            ok.append(f'{sum(not row["failed"] for row in tried)} of {len(tried)}')
        failed = [f'{row["config"]}, {row["mode"]}: {row["failed"]}' for row in found if row['failed']]
        configs = len({row['config'] for row in found})
        smaller = len({row['config'] for row in found if row['note']})
        rows.append((link(f'mmcv {found[0]["mmcv"]}', path, here), configs, *ok, smaller, '; '.join(failed)))
    names = 'environment', 'configs', *(f'ok: {mode}' for mode in MODES), 'with fewer images', 'failed'
    return markdown(names, rows) if rows else NOT_YET


def deformable_table(here: Path) -> str:
    """What `deformable_ops.py` measured, a row for each case."""
    blocks = []
    ways = 'ours bf16', 'ours fp16', 'ours fp32', 'mmcv fp16', 'mmcv fp32'
    for path, found in read_all('deformable_ops-*.csv').items():
        cases: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
        for row in found:
            cases.setdefault((row['operation'], row['case'], row['mode']), {})[row['way']] = row
        known = [way for way in ways if any(one.get(way, {}).get('median ms') for one in cases.values())]
        rows = []
        for (operation, case, mode), one in cases.items():
            times = (_number(one.get(way, {}).get('median ms'), 3) for way in known)
            first = one['ours bf16']
            ratio, floor = _number(first['to mmcv fp16'], 2), _number(first['floor ms'], 3)
            rows.append((f'{operation}, {case}', mode, *times, ratio, floor))
        names = 'ms', 'step', *known, 'ours bf16 to mmcv fp16', 'floor, bf16'
        blocks.append(f'{link(device_of(found[0]), path, here)}:\n\n{markdown(names, rows)}')
    return '\n\n'.join(blocks) or NOT_YET


def half_table(here: Path) -> str:
    """What `half_precision.py` found, a row for each detector, peer and type."""
    rows = []
    for path, found in read_all('half_precision-*.csv').items():
        for row in found:
            numbers = (_number(row[name], 3) for name in ('loss error', 'found again'))
            rows.append((row['detector'], link(row['peer'], path, here), row['precision'], *numbers, row['failed']))
    names = 'detector', 'parts', 'type', 'largest error of a loss', 'detections found again', 'failed'
    return markdown(names, rows) if rows else NOT_YET


def learning_table(here: Path) -> str:
    """What `learning.py` kept: losses along the way and the AP of the last step that all runs of a detector took."""
    rows = []
    for path, found in read_all('learning-*.csv').items():
        runs: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for row in found:
            runs.setdefault((row['detector'], row['peer'], row['seed']), []).append(row)
        for (name, peer, seed), steps in sorted(runs.items()):
            losses = [_mean(steps[:step], 20) if len(steps) >= step else '' for step in STEPS]
            others = [one for (other, *_), one in runs.items() if other == name]
            # the last that is in all curves
            step = max(
                step for step in range(1, min(map(len, others)) + 1) if all(one[step - 1]['box AP'] for one in others)
            )
            scores = [_number(steps[step - 1][key], 3) for key in ('box AP', 'mask AP', 's/step')]
            halves = [_number(steps[-1][key], 3) for key in ('box AP', 'box AP bf16', 'box AP fp16')]
            last = (len(steps), ' / '.join(halves)) if all(halves) else ('', '')
            rows.append((name, link(peer, path, here), seed, *losses, step, *scores, *last))
    names = (
        *('detector', 'parts', 'seed', *(f'loss at {step}' for step in STEPS)),
        *('step of the AP', 'box AP', 'mask AP', 's/step', 'last step', 'box AP there in fp32 / bf16 / fp16'),
    )
    return markdown(names, rows) if rows else NOT_YET


def _mean(rows: list[dict[str, str]], last: int) -> str:
    """Of the losses of the last rows."""
    return f'{sum(float(row["loss"]) for row in rows[-last:]) / len(rows[-last:]):.2f}'


def _number(text: str | None, digits: int) -> str:
    return f'{float(text):.{digits}f}' if text else ''

"""A finished training run as files to keep: its curve as CSV and picture, its conditions and final numbers as JSON.

    python tools/benchmarks/summarise_run.py work_dirs/RUN --name nuclei-mask-rcnn-swin-t

Reads what mmengine logged (`*/vis_data/scalars.json`); run it on the machine of the run, whose versions it writes down.
"""

import argparse
import csv
import json
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

RESULTS = Path(__file__).parent / 'results'
TRAIN_COLUMNS = ('loss', 'lr', 'time', 'data_time', 'memory')
AP_COLUMNS = ('bbox_mAP', 'bbox_mAP_50', 'segm_mAP', 'segm_mAP_50')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', type=Path)
    parser.add_argument('--name', required=True, help='stem of the three files')
    parser.add_argument('--out', type=Path, default=RESULTS, help='folder of the files (default: %(default)s)')
    parser.add_argument('--command', default='', help='the command that made the run, to be kept with it')
    parser.add_argument('--commit', help='of the code that ran (default: asks git)')
    parser.add_argument('--note', default='', help='a sentence to keep with the numbers')
    return parser.parse_args()


def read_log(work_dir: Path) -> tuple[list[dict], list[dict]]:
    """The logged training steps and evaluations of the newest run and those it resumed, each with its 'step'."""
    logs = sorted(work_dir.glob('*/vis_data/scalars.json'))
    if not logs:
        sys.exit(f'error: no */vis_data/scalars.json in {work_dir}; is it the work-dir of a training run?')
    records: list[dict] = []
    for log in logs:
        found = [json.loads(line) for line in log.read_text().splitlines()]
        begin = min((record['step'] for record in found), default=0)
        # what a run did after the checkpoint that the next one resumed is done again
        records = [record for record in records if record['step'] < begin] + found
    train = [record for record in records if 'loss' in record]
    evaluations = []
    for record in records:
        found = {name: record[f'coco/{name}'] for name in AP_COLUMNS if f'coco/{name}' in record}
        if found:
            evaluations.append({'step': record['step'], **found})
    if not train:
        sys.exit(f'error: {work_dir} holds no training step')
    return train, evaluations


def conditions(args: argparse.Namespace) -> dict:
    """Where and with what the run was made."""
    import torch

    gpu = torch.cuda.is_available()
    cpu = f'{platform.machine()} CPU, {torch.get_num_threads()} threads'
    return {
        'device': torch.cuda.get_device_name() if gpu else cpu,
        'python': platform.python_version(),
        'torch': torch.__version__,
        'mmdet': version_of('mmdet'),
        'date': date.today().isoformat(),
        'commit': args.commit or output_of('git', 'rev-parse', '--short', 'HEAD'),
        'driver': output_of('nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader') if gpu else '',
        'command': args.command,
        'note': args.note,
    }


def version_of(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    for name in (package, 'onedl-mmdetection'):
        try:
            return f'{name} {version(name)}'
        except PackageNotFoundError:
            continue
    return ''


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split('\n')[0].strip()
    except (OSError, subprocess.CalledProcessError):
        return ''


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def summary(train: list[dict], evaluations: list[dict]) -> dict:
    """Final APs, and speed as medians over the log lines after the first fifth (start-up, growing caches)."""
    steady = train[len(train) // 5 :]
    return {
        'iterations': train[-1]['step'],
        'final': evaluations[-1] if evaluations else {},
        'seconds_per_iteration': round(median([record['time'] for record in steady]), 4),
        'seconds_waiting_for_data': round(median([record['data_time'] for record in steady]), 4),
        'peak_memory_mb': max(record.get('memory', 0) for record in train),
    }


def write_csv(path: Path, train: list[dict], evaluations: list[dict]) -> None:
    rows = {record['step']: {name: record.get(name, '') for name in TRAIN_COLUMNS} for record in train}
    for record in evaluations:
        rows.setdefault(record['step'], {}).update({name: record.get(name, '') for name in AP_COLUMNS})
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, ['step', *TRAIN_COLUMNS, *AP_COLUMNS], restval='')
        writer.writeheader()
        for step in sorted(rows):
            writer.writerow({'step': step, **rows[step]})


def plot(path: Path, title: str, train: list[dict], evaluations: list[dict]) -> None:
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout='constrained')
    left.plot([record['step'] for record in train], [record['loss'] for record in train])
    left.set(xlabel='iteration', ylabel='training loss', ylim=(0, None))
    for name, label in (('bbox_mAP', 'box AP'), ('segm_mAP', 'mask AP')):
        points = [(record['step'], record[name]) for record in evaluations if name in record]
        if points:
            right.plot(*zip(*points), marker='o', label=label)
    right.set(xlabel='iteration', ylabel='AP', ylim=(0, 1))
    right.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=90)


def main() -> None:
    args = parse_args()
    train, evaluations = read_log(args.work_dir)
    args.out.mkdir(parents=True, exist_ok=True)
    record = {'name': args.name, **summary(train, evaluations), 'conditions': conditions(args)}
    (args.out / f'{args.name}.json').write_text(json.dumps(record, indent=2) + '\n')
    write_csv(args.out / f'{args.name}.csv', train, evaluations)
    plot(args.out / f'{args.name}.png', f'{args.name}, {record["conditions"]["device"]}', train, evaluations)
    print(json.dumps(record, indent=2))


if __name__ == '__main__':
    main()

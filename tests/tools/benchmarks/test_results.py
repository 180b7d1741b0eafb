"""Results: the README says what the files say, and a run's log becomes those files."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
BENCHMARKS = ROOT / 'tools/benchmarks'


def run(script, *arguments):
    command = [sys.executable, BENCHMARKS / script, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_the_readme_says_what_the_result_files_say():
    result = run('render_tables.py', '--check')
    assert result.returncode == 0, result.stderr


def test_a_run_without_a_log_is_named(tmp_path):
    result = run('summarise_run.py', tmp_path, '--name', 'x', '--out', tmp_path)
    assert result.returncode == 1
    assert f'no */vis_data/scalars.json in {tmp_path}' in result.stderr


@pytest.fixture
def work_dir(tmp_path):
    """The log of 100 iterations with one line in ten: 5 s for the first, which is start-up, else 0.5 s."""
    records = [
        {'step': step, 'loss': 1 / step, 'lr': 0.1, 'time': 0.5, 'data_time': 0.1, 'memory': step}
        for step in range(10, 101, 10)
    ]
    records[0]['time'] = 5.0
    records.append({'step': 100, 'coco/bbox_mAP': 0.25, 'coco/segm_mAP': 0.125, 'time': 0.3})
    log = tmp_path / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join(map(json.dumps, records)))
    return tmp_path


def test_a_log_becomes_numbers_curve_and_picture(work_dir, tmp_path):
    known = ('--commit', 'abc', '--command', 'train')
    result = run('summarise_run.py', work_dir, '--name', 'x', '--out', tmp_path, *known)
    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / 'x.json').read_text())
    assert record['iterations'] == 100
    assert record['final'] == {'step': 100, 'bbox_mAP': 0.25, 'segm_mAP': 0.125}
    assert (record['seconds_per_iteration'], record['seconds_waiting_for_data']) == (0.5, 0.1)
    assert record['peak_memory_mb'] == 100
    assert (record['conditions']['commit'], record['conditions']['command']) == ('abc', 'train')
    with (tmp_path / 'x.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row['step']) for row in rows] == list(range(10, 101, 10))
    assert (rows[-1]['loss'], rows[-1]['segm_mAP'], rows[0]['segm_mAP']) == ('0.01', '0.125', '')
    assert (tmp_path / 'x.png').stat().st_size > 1000

"""Results: the READMEs say what the files say, and a run's log becomes those files."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import render_tables
from harness import write_rows
from result_tables import rows as result_files

ROOT = Path(__file__).resolve().parents[3]
BENCHMARKS = ROOT / 'tools/benchmarks'


def run(script, *arguments):
    command = [sys.executable, BENCHMARKS / script, *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def test_the_readmes_say_what_the_result_files_say():
    result = run('render_tables.py', '--check')
    assert result.returncode == 0, result.stderr


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty folder of results."""
    monkeypatch.setattr(result_files, 'RESULTS', tmp_path / 'results')
    result_files.RESULTS.mkdir()
    return result_files.RESULTS


EMPTY = ('attention', 'backbone', 'backbone_memory', 'deformable', 'detectors', 'half', 'learning', 'zoo')


@pytest.mark.parametrize('name', [*EMPTY, 'neck_and_heads', 'speed', 'time'])
def test_a_table_without_files_says_so(name, results):
    text = f'before\n<!-- table {name} -->\n<!-- end {name} -->\nafter'
    filled = f'before\n<!-- table {name} -->\nNot measured yet.\n<!-- end {name} -->\nafter'
    assert render_tables.render(text, results) == filled
    assert render_tables.render(filled, results) == filled


def test_every_table_has_its_place():
    text = ''.join(path.read_text() for path in render_tables.FILES)
    assert sorted(name for _, name, _ in render_tables.MARKED.findall(text)) == sorted(render_tables.TABLES)


WHERE = {'device': 'H100', 'driver': '1', 'torch': '2.11', 'triton': '3.6', 'commit': 'abc', 'date': '2026-01-01'}
MODEL = {'variant': 'tiny', 'window': 7, 'dtype': 'bf16', 'batch': 2}


def test_backbones_become_a_long_table_and_a_short_one(results):
    def row(peer, milliseconds, peak, to_mmdet, to_timm):
        numbers = {'median ms': milliseconds, 'launch us': 9000, 'peak GiB': peak, 'kernels': 400}
        numbers |= {'to mmdet': to_mmdet, 'to timm compiled': to_timm, 'problem': None}
        return {'peer': peer, **MODEL, 'mode': 'train', **numbers, **WHERE}

    failed = {**row('timm', None, None, None, None), 'problem': 'ModuleNotFoundError: timm', 'kernels': None}
    rows = [row('ours', 12.0, 2.0, 0.25, 0.5), row('mmdet', 48.0, 4.0, 1.0, 2.0), failed]
    write_rows(results / 'backbone-x.csv', rows)
    numbers = '12 | 48 | 0.25 | 0.50 | 2.0 / 4.0 (0.50) | [H100](results/backbone-x.csv)'
    assert render_tables.speed_table(results.parent).splitlines()[2:] == [
        f'| tiny, window 7, bf16 | train, batch 2 | {numbers} |'
    ]
    assert render_tables.backbone_table(results.parent).splitlines() == [
        '[H100, torch 2.11, triton 3.6](results/backbone-x.csv):',
        '',
        '| tiny, window 7, bf16 | train, batch 2 |',
        '| --- | --- |',
        '| ours | 12 ms (0.25), 2.0 GiB, 400 kernels in 9.0 ms |',
        '| mmdet | 48 ms (1.00), 4.0 GiB, 400 kernels in 9.0 ms |',
        '| timm | ModuleNotFoundError: timm |',
    ]
    # measured again: only the short table drops the older numbers
    rows = [row('ours', 10.0, 1.0, 0.25, None), row('mmdet', 40.0, 4.0, 1.0, None)]
    write_rows(results / 'backbone-a.csv', [one | {'date': '2026-01-02'} for one in rows])
    numbers = '10 | 40 | 0.25 |  | 1.0 / 4.0 (0.25) | [H100](results/backbone-a.csv)'
    assert render_tables.speed_table(results.parent).splitlines()[2:] == [
        f'| tiny, window 7, bf16 | train, batch 2 | {numbers} |'
    ]
    assert len(render_tables.backbone_table(results.parent).splitlines()) > 10


def test_checkpointing_becomes_a_table(results):
    columns = ('checkpointed stages', 'median ms', 'peak GiB', 'time to none', 'memory to none')
    found = [('none', 10.0, 4.0, 1.0, 1.0), ('all', 13.0, 2.0, 1.3, 0.5)]
    write_rows(results / 'backbone_memory-x.csv', [MODEL | dict(zip(columns, row)) | WHERE for row in found])
    assert render_tables.backbone_memory_table(results.parent).splitlines()[2:] == [
        '| checkpointed stages | none | all |',
        '| --- | --- | --- |',
        '| tiny, window 7, bf16, batch 2 | 10 ms, 4.00 GiB | 13 ms (1.30), 2.00 GiB (0.50) |',
    ]


def test_where_the_time_goes_becomes_a_table(results):
    columns = ('group', 'kernel', 'calls', 'us', 'share', 'floor us')
    found = [
        ('GELU', 'all', 12.0, 400.0, 0.4, 100.0),
        ('GELU', 'gelu_forward_kernel', 12.0, 400.0, 0.4, None),
        ('waiting', 'all', 0.0, 600.0, 0.6, None),
    ]
    rows = [{'peer': 'ours', **MODEL, **dict(zip(columns, row)), **WHERE} for row in found]
    write_rows(results / 'where_time_goes-x.csv', rows)
    assert render_tables.time_table(results.parent).splitlines()[4:] == [
        '| GELU | 12 | 400 | 0.40 | 100 | 0.25 | `gelu_forward_kernel` |',
        '| waiting | 0 | 600 | 0.60 |  |  |  |',
    ]


def test_ways_of_neck_and_heads_become_a_table(results):
    case = {'detector': 'mask-rcnn', 'mode': 'train', 'batch': 2, 'height': 800, 'width': 1344, 'objects': 10}
    names = ('way', 'median ms', 'to as it is', 'GPU ms', 'kernels', 'peak MiB', 'first step s', 'new size s')
    found = [
        ('as it is', 40.0, 1.0, 21.0, 1500, 2048.0, 0.5, 0.1),
        ('compiled', 38.0, 0.95, 20.0, 1400, 2048.0, 60.0, 30.0),
    ]
    alone = 'contiguous', 40.0, None, 21.0, 1500, 2048.0, 0.5, 0.1
    write_rows(results / 'neck_and_heads-x.csv', [case | dict(zip(names, row)) | WHERE for row in found])
    assert render_tables.neck_and_heads_table(results.parent).splitlines()[4:] == [
        '| mask-rcnn, train, 2 x 800x1344, 10 objects | as it is | 40.0 | 1.00 | 21.0 | 1500 | 2.0 | 0.5 | 0.1 |',
        '| mask-rcnn, train, 2 x 800x1344, 10 objects | compiled | 38.0 | 0.95 | 20.0 | 1400 | 2.0 | 60.0 | 30.0 |',
    ]
    write_rows(results / 'neck_and_heads-x.csv', [case | dict(zip(names, alone)) | WHERE])
    assert render_tables.neck_and_heads_table(results.parent).splitlines()[4:] == [
        '| mask-rcnn, train, 2 x 800x1344, 10 objects | contiguous | 40.0 |  | 21.0 | 1500 | 2.0 | 0.5 | 0.1 |',
    ]


def test_steps_of_detectors_become_a_line_for_each_batch(results):
    """Of two environments, whose rows lie in one file."""
    case = {'detector': 'dino', 'batch': 2, 'height': 800, 'width': 1344, 'objects': 10}
    found = [
        ('ours', 'train', 50.0, 1024.0), ('mmdet', 'train', 200.0, 2048.0), ('ours', 'infer', 10.0, 512.0),
        ('mmdet', 'infer', 40.0, 512.0),
    ]  # fmt: skip
    rows = [
        {'peer': peer, **case, 'mode': mode, 'median ms': ms, 'peak MiB': peak, 'failed': '', **WHERE}
        for peer, mode, ms, peak in found
    ]
    write_rows(results / 'detector-x.csv', rows)
    assert render_tables.detectors_table(results.parent).splitlines()[2:] == [
        '| dino | 2 x 800x1344, 10 objects | 50 / 200 (0.25) | 10 / 40 (0.25) | 1.0 / 2.0 '
        '| [H100](results/detector-x.csv) |'
    ]
    # a newer file in which inference was not measured
    later = [row | {'date': '2099-01-01'} for row in rows if row['mode'] == 'train']
    write_rows(results / 'detector-y.csv', later)
    assert render_tables.detectors_table(results.parent).count('detector-') == 1


def test_the_zoo_becomes_a_line_for_each_environment(results):
    modes = [('a', 'train', '', ''), ('a', 'infer', '', 'ValueError: no'), ('b', 'train', '4 images do not fit', '')]
    rows = [
        {'config': config, 'mode': mode, 'note': note, 'failed': failed, 'mmcv': '2.1'}
        for config, mode, note, failed in modes
    ]
    write_rows(results / 'zoo_on_gpu-x.csv', rows)
    line = '2 of 2 | 0 of 0 | 0 of 1 | 0 of 0 | 0 of 0 | 1 | a, infer: ValueError: no |'
    assert render_tables.zoo_table(results.parent).splitlines()[2:] == [
        f'| [mmcv 2.1](results/zoo_on_gpu-x.csv) | 2 | {line}'
    ]


def test_deformable_operations_become_a_line_for_each_case(results):
    case = {'operation': 'attention', 'case': 'encoder', 'mode': 'forward'}
    names = 'way', 'median ms', 'to mmcv fp16', 'floor ms'
    found = [('ours bf16', 1.0, 0.25, 0.5), ('mmcv bf16', None, None, None), ('mmcv fp16', 4.0, 1.0, 0.5)]
    write_rows(results / 'deformable_ops-x.csv', [case | dict(zip(names, one)) | WHERE for one in found])
    assert render_tables.deformable_table(results.parent).splitlines()[2:] == [
        '| ms | step | ours bf16 | mmcv fp16 | ours bf16 to mmcv fp16 | floor, bf16 |',
        '| --- | --- | --- | --- | --- | --- |',
        '| attention, encoder | forward | 1.000 | 4.000 | 0.25 | 0.500 |',
    ]


def test_what_is_learned_by_heart_is_compared_at_a_step_that_all_runs_took(results):
    nothing = dict.fromkeys(('s/step', 'box AP', 'mask AP', 'box AP bf16', 'box AP fp16'))
    rows = []
    for peer, steps in (('ours', 200), ('mmdet', 120)):
        run = [{'detector': 'dino', 'peer': peer, 'seed': 0, 'step': step, 'loss': float(step)} | nothing
               for step in range(1, steps + 1)]  # fmt: skip
        for at in (100, 120, 200):
            if at <= steps:
                run[at - 1] |= {'s/step': 0.1, 'box AP': at / 1000 + (peer == 'ours')}
        rows += run
    rows[199] |= {'box AP bf16': 1.1, 'box AP fp16': 1.3}
    write_rows(results / 'learning-x.csv', rows)
    assert render_tables.learning_table(results.parent).splitlines()[2:] == [
        '| dino | [mmdet](results/learning-x.csv) | 0 | 90.50 |  |  |  | 120 | 0.120 |  | 0.100 |  |  |',
        '| dino | [ours](results/learning-x.csv) | 0 | 90.50 | 190.50 |  |  | 120 | 1.120 |  | 0.100 | 200 | '
        '1.200 / 1.100 / 1.300 |',
    ]


def test_half_precision_becomes_a_line_for_each_type(results):
    row = {'detector': 'dino', 'peer': 'ours', 'precision': 'bf16', 'loss error': 0.01234, 'found again': 0.9}
    write_rows(results / 'half_precision-x.csv', [row | {'failed': ''}])
    assert render_tables.half_table(results.parent).splitlines()[2:] == [
        '| dino | [ours](results/half_precision-x.csv) | bf16 | 0.012 | 0.900 |  |'
    ]


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


def test_a_resumed_run_is_one_curve(work_dir, tmp_path):
    """It was stopped at 100 and resumed from the checkpoint of 80."""
    records = [{'step': step, 'loss': 2.0, 'lr': 0.1, 'time': 0.5, 'data_time': 0.1} for step in range(90, 121, 10)]
    records.append({'step': 120, 'coco/bbox_mAP': 0.5})
    log = tmp_path / '20260101_010000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join(map(json.dumps, records)))
    result = run('summarise_run.py', work_dir, '--name', 'x', '--out', tmp_path, '--commit', 'abc')
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / 'x.json').read_text())['final'] == {'step': 120, 'bbox_mAP': 0.5}
    with (tmp_path / 'x.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row['step']) for row in rows] == list(range(10, 121, 10))
    assert [float(row['loss']) for row in rows[-5:]] == [1 / 80, 2.0, 2.0, 2.0, 2.0]

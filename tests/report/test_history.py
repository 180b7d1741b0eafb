"""The history and the conditions of a run, of files as mmengine and our runners write them."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from swin_mmdet.report.conditions import command_line, read_conditions
from swin_mmdet.report.history import read_history
from tests.report.sample_run import LOG, scalar_lines, write_scalars


def test_losses_and_metrics_stand_at_their_iterations(tmp_path: Path):
    write_scalars(tmp_path, '20300101_100000', scalar_lines(10, 40))
    history = read_history(tmp_path)
    assert history.training['loss'].iterations == [10, 20, 30, 40]
    assert history.training['loss'].values == [3.0 / step for step in (10, 20, 30, 40)]
    assert history.evaluations['bbox_mAP'].iterations == [20, 40]
    assert history.evaluations['bbox_mAP'].values == [0.2, 0.4]
    assert 'time' not in history.training
    assert 'time' not in history.evaluations
    assert (history.last_iteration, history.resumed, history.broken) == (40, [], {})
    assert history.seconds == pytest.approx(4 * 10 * 0.5)


def test_a_resumed_run_goes_on_where_it_was_resumed(tmp_path: Path):
    write_scalars(tmp_path, '20300101_100000', scalar_lines(10, 60))
    # what was done after the checkpoint of iteration 40 is done again
    later = [line | {'loss': 9.0} if 'loss' in line else line for line in scalar_lines(50, 80)]
    write_scalars(tmp_path, '20300101_110000', later)
    write_scalars(tmp_path, '20300101_120000', [{'coco/bbox_mAP': 0.9, 'step': 0}])  # a test
    history = read_history(tmp_path)
    assert history.training['loss'].iterations == [10, 20, 30, 40, 50, 60, 70, 80]
    assert history.training['loss'].values[4:] == [9.0] * 4
    assert history.evaluations['bbox_mAP'].iterations == [20, 40, 60, 80]
    assert history.resumed == [40]


def test_a_run_that_began_anew_replaces_the_one_before(tmp_path: Path):
    write_scalars(tmp_path, '20300101_100000', scalar_lines(10, 60))
    write_scalars(tmp_path, '20300101_110000', scalar_lines(10, 20))
    history = read_history(tmp_path)
    assert history.training['loss'].iterations == [10, 20]
    assert history.resumed == []


def test_evaluations_that_are_counted_in_epochs_come_after_the_iterations_before_them(tmp_path: Path):
    lines = []
    for epoch in (1, 2):
        lines += [{'lr': 0.1, 'loss': 1.0, 'epoch': epoch, 'iter': 50 * epoch + more, 'step': 50 * epoch + more}
                  for more in (-25, 0)]  # fmt: skip
        lines.append({'coco/bbox_mAP': 0.1 * epoch, 'step': epoch})
    write_scalars(tmp_path, '20300101_100000', lines)
    assert read_history(tmp_path).evaluations['bbox_mAP'].iterations == [50, 100]


def test_a_line_that_was_being_written_is_left_out_and_counted(tmp_path: Path):
    path = write_scalars(tmp_path, '20300101_100000', scalar_lines(10, 30), end='\n{"lr": 0.1, "lo')
    history = read_history(tmp_path)
    assert history.training['loss'].iterations == [10, 20, 30]
    assert history.broken == {path: 1}
    path.write_bytes(path.read_bytes()[:20] + b'\xff\x00' + path.read_bytes()[20:])
    assert read_history(tmp_path).broken == {path: 2}


def test_numbers_that_are_none(tmp_path: Path):
    lines = [{'loss': float('nan'), 'lr': None, 'iter': 10}, {'loss': True, 'iter': 20}]
    write_scalars(tmp_path, '20300101_100000', lines)
    history = read_history(tmp_path)
    assert history.training['loss'].iterations == [10]
    assert 'lr' not in history.training


@pytest.mark.parametrize('text', ['', '\n\n', 'null\n[1]\n"a"'])
def test_nothing_in_the_file(tmp_path: Path, text: str):
    path = tmp_path / '20300101_100000/vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert read_history(tmp_path).training == {}


def test_the_conditions_are_in_the_log(tmp_path: Path):
    folder = tmp_path / '20300101_100000'
    folder.mkdir()
    (folder / '20300101_100000.log').write_text(LOG)
    (folder / 'other.log').write_text(LOG)
    [run] = read_conditions(tmp_path)
    assert (run.name, run.is_training, run.seed) == ('20300101_100000', True, '42')
    assert run.command == "tools/train.py 'my config.py' --lr 0.1"
    assert run.machine == '1 x some CPU with 2 threads'
    assert run.versions == 'Python 3.11.7, torch 2.14.1'
    assert (run.start, run.end) == (datetime(2026, 11, 30, 10), datetime(2026, 11, 30, 11, 0, 3))


def test_a_log_of_another_program_says_less(tmp_path: Path):
    folder = tmp_path / '20300101_100000'
    folder.mkdir()
    log = folder / '20300101_100000.log'
    log.write_text('2026/11/30 10:00:00 - mmengine - INFO - Epoch(train) [1][5/9]\n')
    [run] = read_conditions(tmp_path)
    assert (run.is_training, run.command, run.machine, run.seed) == (True, '', '', '')
    log.write_text('nothing of the kind')
    assert read_conditions(tmp_path) == []


def test_the_line_of_the_command_is_one_that_can_be_pasted():
    assert command_line(['swin-mmdet train', 'my config.py']) == "command: swin-mmdet train 'my config.py'"
    assert command_line(['tools/test.py']) == 'command: tools/test.py'


def test_the_last_evaluation_survives_a_cut_line(tmp_path: Path, capsys: pytest.CaptureFixture):
    from swin_mmdet.commands.show_results import main

    write_scalars(tmp_path, '20300101_100000', scalar_lines(10, 40), end='\n' + json.dumps({'coco/bbox_mAP': 1})[:9])
    lines = [json.dumps({'coco/bbox_mAP': 0.5, 'coco/bbox_mAP_50': 0.6, 'coco/bbox_mAP_75': 0.4}), '{"coco/bb']
    (tmp_path / '20300101_100000/vis_data/scalars.json').write_text('\n'.join(lines))
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ['box', '50.0', '60.0', '40.0']

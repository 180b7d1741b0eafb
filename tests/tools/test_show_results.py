"""show_results.py: the newest evaluation of a training or a test."""

import importlib
import json
from pathlib import Path

import pytest


def show(*arguments: object) -> int:
    return importlib.import_module('swin_mmdet.commands.show_results').main([str(argument) for argument in arguments])


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    """A test, and a later training of two evaluations, as mmengine writes them."""
    test, training = tmp_path / '20300101_100000', tmp_path / '20300101_110000/vis_data'
    test.mkdir()
    training.mkdir(parents=True)
    result = {'coco/bbox_mAP': 0.1, 'coco/bbox_mAP_50': 0.2, 'coco/bbox_mAP_75': 0.05, 'data_time': 0.01, 'time': 1.0}
    (test / f'{test.name}.json').write_text(json.dumps(result, indent=4))
    lines = [{'loss': 1.0, 'step': 1}, result | {'step': 1}, {'loss': 0.9, 'step': 2}]
    lines += [result | {'coco/bbox_mAP': 0.345, 'coco/segm_mAP': 0.3, 'coco/segm_mAP_50': 0.6, 'coco/segm_mAP_75': 0.1}]
    (training / 'scalars.json').write_text('\n'.join(map(json.dumps, [*lines, {'loss': 0.8, 'step': 3}])))
    return tmp_path


def test_the_last_evaluation_of_the_newest_run(work_dir: Path, capsys: pytest.CaptureFixture):
    assert show(work_dir) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [['AP', 'AP50', 'AP75'], ['box', '34.5', '20.0', '5.0'], ['mask', '30.0', '60.0', '10.0']]


def test_a_test_after_the_training(work_dir: Path, capsys: pytest.CaptureFixture):
    (work_dir / '20300101_100000/20300101_100000.json').rename(work_dir / 'later.json')
    later = work_dir / '20300102_000000'
    later.mkdir()
    (work_dir / 'later.json').rename(later / f'{later.name}.json')
    assert show(work_dir) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ['box', '10.0', '20.0', '5.0']


@pytest.mark.parametrize(('goal', 'code', 'word'), [('segm_mAP=0.3', 0, 'reaches'), ('segm_mAP=0.31', 1, 'MISSES')])
def test_a_goal_decides_the_exit_code(work_dir: Path, goal: str, code: int, word: str, capsys: pytest.CaptureFixture):
    assert show(work_dir, '--goal', goal) == code
    assert word in capsys.readouterr().out


@pytest.mark.parametrize('goal', ['segm_mAP', 'segm_mAP=much', 'AP=0.3'])
def test_a_goal_that_is_none(work_dir: Path, goal: str, user_error: type[Exception]):
    with pytest.raises(user_error, match=f'--goal {goal}: give METRIC=NUMBER, with one of bbox_mAP, '):
        show(work_dir, '--goal', goal)

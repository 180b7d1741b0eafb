"""The report that a training leaves, and the one that is asked for later."""

import argparse
import importlib
import json
import re
import shutil
from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from swin_mmdet.commands import train
from swin_mmdet.evaluation import kept_detections
from swin_mmdet.report.history import read_history


def report(*arguments: object) -> None:
    importlib.import_module('swin_mmdet.commands.report').main([str(argument) for argument in arguments])


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Path:
    folder = tmp_path / 'work dir'
    shutil.copytree(trained, folder)
    (folder / 'report.html').unlink()
    return folder


def test_a_training_ends_with_its_report(trained: Path):
    page = (trained / 'report.html').read_text()
    assert f'report: {trained / "report.html"}' in (trained / 'console.txt').read_text()
    assert 'No ' not in ''.join(re.findall(r'<li>(.*)</li>', page)), 'nothing is missing'
    for part in ('training', 'ap', 'errors', 'gallery', 'data', 'conditions'):
        assert f'id="{part}"' in page
    assert f'<code>{Path(train.__file__).parents[2]}/tools/train.py ' in page
    assert "one process" in page


def test_the_detections_of_the_last_evaluation_are_kept_as_they_were_measured(trained: Path):
    kept = kept_detections(trained)
    assert kept is not None
    assert kept.weights == 'iteration 6'
    assert kept.classes == ('circle', 'square', 'triangle')
    assert set(kept.files) == {'bbox', 'segm'}
    logged = {name: series.values[-1] for name, series in read_history(trained).evaluations.items()}
    assert logged == {name: pytest.approx(value) for name, value in kept.values.items()}
    assert kept.load('segm')


def test_a_report_makes_the_predictions_that_are_not_there(copied: Path, capsys: pytest.CaptureFixture):
    before = kept_detections(copied)
    shutil.rmtree(copied / 'detections')
    config = (copied / 'tiny.py').read_text()
    report(copied, '--no-predict', '--quick')
    assert 'No predictions were kept here' in (copied / 'report.html').read_text()
    report(copied, '--quick')
    assert 'epoch_3.pth (--no-predict leaves that out)' in capsys.readouterr().out
    kept = kept_detections(copied)
    assert kept.weights.endswith('epoch_3.pth')
    assert kept.values == pytest.approx(before.values, abs=1e-6)
    assert 'id="gallery"' in (copied / 'report.html').read_text()
    assert (copied / 'tiny.py').read_text() == config, 'that of the training'


@pytest.mark.parametrize('error', [MemoryError('no room'), ValueError('odd'), KeyboardInterrupt()], ids=repr)
def test_a_report_that_fails_is_a_line_of_the_log(
    error: BaseException, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr('swin_mmdet.report.run_report.write_report', fails)
    said = []
    monkeypatch.setattr('mmengine.logging.print_log', lambda text, *_: said.append(text))
    train.report_of(str(trained), argparse.Namespace(quick=True, allow_outside=False))
    assert len(said) == 1
    assert f'no report was written ({type(error).__name__}: {error}); `swin-mmdet report {trained}` tries again' in said


def test_without_predictions_a_training_leaves_no_report(tmp_path: Path):
    train.report_of(str(tmp_path), argparse.Namespace(quick=True, allow_outside=False))
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_annotations_are_gone_is_told_before_it_is_evaluated(copied: Path, capsys: pytest.CaptureFixture):
    shutil.rmtree(copied / 'detections')
    for path in copied.glob('*.py'):
        path.write_text(path.read_text().replace('instances_val2017', 'instances_gone'))
    report(copied, '--quick')
    assert 'could not be evaluated' in capsys.readouterr().out
    assert json.dumps('instances_gone')[1:-1] in (copied / 'report.html').read_text()


def test_a_new_training_does_not_report_what_an_older_one_found(
    config: Path, shapes: Path, copied: Path, monkeypatch: pytest.MonkeyPatch
):
    for path in copied.glob('*.pth'):
        path.unlink()

    def stop(*_: object) -> None:
        raise RuntimeError('far enough')

    monkeypatch.setattr('swin_mmdet.commands.train.check_before_run', stop)
    words = [str(config), '--data', str(shapes), '--work-dir', str(copied)]
    with pytest.raises(RuntimeError, match='far enough'):
        train.main([*words, '--resume'])
    assert kept_detections(copied)
    with pytest.raises(RuntimeError, match='far enough'):
        train.main(words)
    assert kept_detections(copied) is None

"""TensorBoard, Weights & Biases and MLflow by one option each: curves are read back, missing packages said."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mmengine.config import Config

from swin_mmdet.commands import trackers
from swin_mmdet.commands.trackers import TRACKERS, add_tracker_arguments, read_trackers
from swin_mmdet.engine.trackers import BACKENDS, use_trackers

from .conftest import TOOLS

IS_THERE = {name: importlib.util.find_spec(name) is not None for name in TRACKERS}


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_tracker_arguments(parser)
    return parser.parse_args(words)


def test_each_option_is_a_backend():
    assert tuple(BACKENDS) == TRACKERS


@pytest.mark.parametrize('name', TRACKERS)
def test_a_missing_package_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch, user_error: type[Exception]):
    monkeypatch.setattr(trackers, 'find_spec', lambda asked: None if asked == name else asked)
    with pytest.raises(user_error, match=f'--{name}: the package {name} is not installed: pip install {name}'):
        read_trackers(parsed(f'--{name}'))
    others = set(TRACKERS) - {name}
    assert read_trackers(parsed(*[f'--{other}' for other in sorted(others)])).keys() == others


def test_nothing_is_asked_for_by_default():
    assert read_trackers(parsed()) == {}


def backends(*words: str, **config: object) -> list[dict]:
    cfg = Config(dict(work_dir='work_dirs/mine', **config))
    wanted = {name: value for name, value in vars(parsed(*words)).items() if value is not None}
    use_trackers(cfg, wanted)
    return [dict(one) for one in cfg.visualizer.vis_backends]


def test_words_after_an_option_name_project_store_or_experiment():
    assert backends('--tensorboard') == [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    assert backends('--wandb')[1]['init_kwargs'] == dict(project='swin_mmdet', name='mine')
    assert backends('--wandb', 'cells')[1]['init_kwargs']['project'] == 'cells'
    here = f'sqlite:///{Path("work_dirs/mine/mlflow.db").absolute()}'
    for words, uri, experiment in (
        ((), here, 'mine'),
        (('cells',), here, 'cells'),
        (('http://localhost:5000',), 'http://localhost:5000', 'mine'),
    ):
        mlflow = backends('--mlflow', *words)[1]
        assert (mlflow['tracking_uri'], mlflow['exp_name'], mlflow['run_name']) == (uri, experiment, 'mine')


def test_what_the_config_has_stays_and_is_there_once():
    config = dict(
        visualizer=dict(
            type='mmdet.DetLocalVisualizer',
            vis_backends=[dict(type='LocalVisBackend'), dict(type='mmengine.WandbVisBackend', commit=False)],
        )
    )
    found = backends('--wandb', '--tensorboard', **config)
    assert [one['type'] for one in found] == ['LocalVisBackend', 'TensorboardVisBackend', 'WandbVisBackend']


@pytest.mark.long
@pytest.mark.parametrize('name', TRACKERS)
def test_curves_of_a_training_are_read_back(
    name: str, run: Callable[..., str], config: Path, shapes: Path, tmp_path: Path
):
    if not IS_THERE[name]:
        pytest.skip(f'{name} is not installed')
    work_dir = tmp_path / 'mine'
    output = run(
        sys.executable, TOOLS / 'train.py', config, '--data', shapes, '--work-dir', work_dir, f'--{name}',
        '--cfg-options', 'train_cfg.val_interval=3',
        WANDB_MODE='offline', WANDB_SILENT='true', MLFLOW_TRACKING_URI='',
    )  # fmt: skip
    assert 'Traceback' not in output
    curves = READERS[name](work_dir)
    assert len(curves['loss']) == 6
    assert all(value > 0 for value in curves['loss'])
    assert any('bbox_mAP' in tag for tag in curves)


def of_tensorboard(work_dir: Path) -> dict[str, list[float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (path,) = work_dir.rglob('events.out.tfevents.*')
    events = EventAccumulator(str(path)).Reload()
    return {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()['scalars']}


def of_wandb(work_dir: Path) -> dict[str, list[float]]:
    from wandb.proto import wandb_internal_pb2

    (path,) = work_dir.rglob('*.wandb')
    curves: dict[str, list[float]] = {}
    for content in records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(content)
        for item in record.history.item:
            curves.setdefault(item.key or '/'.join(item.nested_key), []).append(json.loads(item.value_json))
    return curves


def records(content: bytes) -> Iterator[bytes]:
    """Of a log as LevelDB writes it: chunks in blocks of 32 KiB, each a sum, a length and whether it is a whole record,
    its first, a middle or its last part; before them stand seven bytes of Weights & Biases' own."""
    place, block, parts = 7, 1 << 15, b''
    while place + 7 <= len(content):
        if block - place % block < 7:
            place += block - place % block
            continue
        length, kind = int.from_bytes(content[place + 4 : place + 6], 'little'), content[place + 6]
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield parts
            parts = b''


def of_mlflow(work_dir: Path) -> dict[str, list[float]]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f'sqlite:///{work_dir / "mlflow.db"}')
    (experiment,) = [one for one in client.search_experiments() if one.name == 'mine']
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == 'mine'
    assert run.info.status == 'FINISHED'
    assert 'config.py' in {file.path for file in client.list_artifacts(run.info.run_id)}
    return {key: [one.value for one in client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics}


READERS = {'tensorboard': of_tensorboard, 'wandb': of_wandb, 'mlflow': of_mlflow}

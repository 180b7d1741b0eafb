"""TensorBoard, Weights & Biases and MLflow beside the files of a run, as visualizer backends of its config."""

from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config

from swin_mmdet.config import type_name

# of the work-dir, what MLflow keeps as files of a run: the log has the config
KEPT = '.log'


def use_trackers(cfg: Config, wanted: dict[str, str]) -> None:
    """Let the visualizer of a config write to each as well, in place.

    wanted: 'tensorboard', 'wandb' or 'mlflow' -> what the user wrote after the option, '' for nothing
    """
    if not cfg.get('visualizer'):
        cfg.visualizer = dict(type='mmdet.DetLocalVisualizer')
    backends = list(cfg.visualizer.get('vis_backends') or [dict(type='LocalVisBackend')])
    for name, word in wanted.items():
        backend = BACKENDS[name](word, Path(cfg.work_dir))
        # one that the config has already takes what the user says
        backends = [one for one in backends if type_name(one) != backend['type']] + [backend]
    cfg.visualizer.vis_backends = backends


def _tensorboard(word: str, work_dir: Path) -> dict:
    del word, work_dir
    return dict(type='TensorboardVisBackend')


def _wandb(project: str, work_dir: Path) -> dict:
    return dict(type='WandbVisBackend', init_kwargs=dict(project=project or 'swin_mmdet', name=work_dir.name))


def _mlflow(word: str, work_dir: Path) -> dict:
    is_uri = '://' in word or word.startswith('databricks')
    # without a place of its own it would be a folder for each start of the run
    store = word if is_uri else f'sqlite:///{work_dir.absolute() / "mlflow.db"}'
    experiment = work_dir.name if is_uri or not word else word
    # names of settings may have characters that MLflow refuses, so the config is one text
    return dict(
        type='MLflowVisBackend', exp_name=experiment, run_name=work_dir.name, tracking_uri=store,
        tracked_config_keys=(), artifact_suffix=(KEPT,),
    )  # fmt: skip


BACKENDS: dict[str, Callable[[str, Path], dict]] = {'tensorboard': _tensorboard, 'wandb': _wandb, 'mlflow': _mlflow}

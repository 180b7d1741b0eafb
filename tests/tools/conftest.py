"""The tools on a tiny data set, with a training that has no randomness but its seed."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
sys.path.insert(0, str(Path(__file__).parent))

CONFIG = """
_base_ = {base!r}

custom_imports = dict(imports=['swin_mmdet.compat', 'first_sampler'], allow_failed_imports=False)
model = dict(
    backbone=dict(embed_dims=16, depths=(1, 2, 1, 1), num_heads=(1, 2, 4, 8)),
    neck=dict(in_channels=[16, 32, 64, 128]),
    # some detections, however little was learned
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_img=5)),
    # numbers that no image falls short of, so that every image has the same share in the mean of each loss
    train_cfg=dict(
        rpn=dict(sampler=dict(type='FirstSampler', num=32)),
        rcnn=dict(sampler=dict(type='FirstSampler', num=16, pos_fraction=1 / 16)),
    ),
)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    sampler=dict(_delete_=True, type='DefaultSampler', shuffle=False), dataset=dict(pipeline=pipeline),
)
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
param_scheduler = []
train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=3, val_interval=100)
default_hooks = dict(checkpoint=dict(by_epoch=True, interval=1), logger=dict(interval=1))
log_processor = dict(by_epoch=True)
randomness = dict(seed=0)
"""


@pytest.fixture(scope='session')
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny COCO-format data set in a folder with a space in its name."""
    from swin_mmdet.commands.make_shapes_dataset import main

    folder = tmp_path_factory.mktemp('data') / 'my shapes'
    main([str(folder), '--train', '4', '--val', '2', '--size', '96'])
    return folder


@pytest.fixture(scope='session')
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config whose training is the same for the same images, however they are spread over processes."""
    path = tmp_path_factory.mktemp('my configs') / 'tiny.py'
    path.write_text(CONFIG.format(base=str(ROOT / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py')))
    return path


@pytest.fixture(scope='session')
def environment() -> dict[str, str]:
    """Variables for a child process: no GPU, and the modules of this folder."""
    return os.environ | {
        'CUDA_VISIBLE_DEVICES': '-1',
        'PYTHONPATH': os.pathsep.join([str(ROOT), str(Path(__file__).parent), os.environ.get('PYTHONPATH', '')]),
        'OMP_NUM_THREADS': '1',
        'PYTHONWARNINGS': 'ignore',
    }


@pytest.fixture(scope='session')
def run(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """run(command ...) -> its output; another exit code than `code` fails the test."""

    def call(*command: object, code: int = 0, **variables: str) -> str:
        done = subprocess.run(
            [str(word) for word in command],
            env=environment | variables,
            cwd=tmp_path_factory.mktemp('cwd'),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stdout[-4000:]
        return done.stdout

    return call


@pytest.fixture(scope='session')
def trained(run: Callable[..., str], config: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work-dir of an uninterrupted training on one process, with its `console.txt`."""
    work_dir = tmp_path_factory.mktemp('one process')
    output = run(sys.executable, TOOLS / 'train.py', config, '--data', shapes, '--work-dir', work_dir)
    (work_dir / 'console.txt').write_text(output)
    return work_dir

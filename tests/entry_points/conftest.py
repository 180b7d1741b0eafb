"""A clean environment with the built wheel in it, and no checkout on the path."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILT_FROM = ('setup.py', 'README.md', 'swin_mmdet', 'configs', 'tools')

CONFIG = """
_base_ = 'swin_mmdet::quickstart/mask-rcnn_swin-micro_shapes.py'

model = dict(
    backbone=dict(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8)),
    neck=dict(in_channels=[16, 32, 64, 128]),
    # some detections, however little was learned
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_img=5)),
)
data = dict(num_workers=0, persistent_workers=False, dataset=dict(data_root={shapes!r}))
train_dataloader = dict(data, batch_size=2, num_workers=1, persistent_workers=True)
val_dataloader = test_dataloader = data
val_evaluator = dict(ann_file={shapes!r} + 'annotations/instances_val2017.json')
test_evaluator = dict(val_evaluator, outfile_prefix='results')
# mmengine has mixed precision on GPUs only
optim_wrapper = dict(_delete_=True, type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.001))
param_scheduler = []
train_cfg = dict(max_iters=2, val_interval=10)
default_hooks = dict(checkpoint=dict(interval=2, save_best=None), logger=dict(interval=1))
"""


class Environment:
    """A virtual environment that sees the libraries of the running one, and of swin_mmdet what is installed in it."""

    def __init__(self, folder: Path, libraries: bool = True) -> None:
        subprocess.run([sys.executable, '-m', 'venv', '--without-pip', folder], check=True)
        self.python = folder / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')
        self.site_packages = Path(self.run('-c', "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())
        if libraries:
            # start-up files in the folder that this line adds are not read: an editable install there stays unseen
            (self.site_packages / 'libraries.pth').write_text(sysconfig.get_paths()['purelib'] + '\n')

    def pip(self, *words: object) -> str:
        command = [sys.executable, '-m', 'pip', '--python', self.python, *words]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=self.python.parent)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run(self, *words: object, cwd: Path | None = None, code: int = 0, **variables: str) -> str:
        """Output of the environment's Python, started in an empty folder or `cwd`."""
        outside = [path for path in os.environ.get('PYTHONPATH', '').split(os.pathsep) if path and Path(path) != ROOT]
        known = {key: value for key, value in os.environ.items() if not key.startswith(('SWIN_MMDET', 'PYTEST'))}
        known |= {
            'PYTHONPATH': os.pathsep.join(outside),
            'CUDA_VISIBLE_DEVICES': '-1',
            'OMP_NUM_THREADS': '1',
            'PYTHONWARNINGS': 'ignore',
            'MPLBACKEND': 'agg',
        }
        done = subprocess.run(
            list(map(str, (self.python, *words))),
            env=known | variables,
            cwd=cwd or self.python.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert done.returncode == code, done.stdout[-4000:]
        # what PyTorch logs of an installed torchao, which transformers imports
        lines = done.stdout.splitlines(keepends=True)
        return ''.join(line for line in lines if 'torch/utils/_pytree.py' not in line)


@pytest.fixture(scope='session')
def new_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    return lambda **options: Environment(tmp_path_factory.mktemp('environment'), **options)


@pytest.fixture(scope='session')
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel is built from, elsewhere: building leaves files behind."""
    folder = tmp_path_factory.mktemp('source')
    for name in BUILT_FROM:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, folder / name, symlinks=True, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope='session')
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('wheel')
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '-w', folder, source]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob('*.whl'))


@pytest.fixture(scope='session')
def installed(wheel: Path, new_environment: Callable[..., Environment]) -> Environment:
    """With the wheel."""
    environment = new_environment()
    environment.pip('install', '--force-reinstall', '--no-deps', '--no-index', wheel)
    return environment


@pytest.fixture(scope='session')
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: `tiny.py`, which inherits from our configs in the wheel, and pictures in `shapes/`."""
    from swin_mmdet.commands.make_shapes_dataset import main

    folder = tmp_path_factory.mktemp('desk')
    main([str(folder / 'shapes'), '--train', '4', '--val', '2', '--size', '96'])
    (folder / 'tiny.py').write_text(CONFIG.format(shapes=f'{folder}/shapes/'))
    return folder


@pytest.fixture(scope='session')
def tools(installed: Environment) -> Path:
    """The scripts that come with mmdet."""
    code = 'from importlib.util import find_spec; print(find_spec("mmdet").submodule_search_locations[0])'
    return Path(installed.run('-c', code).strip()) / '.mim' / 'tools'


@pytest.fixture(scope='session')
def trained(installed: Environment, tools: Path, desk: Path) -> Path:
    """The checkpoint of mmdet's own train.py, whose data came from a spawned worker."""
    output = installed.run(
        tools / 'train.py', 'tiny.py', '--work-dir', 'work', '--cfg-options', 'env_cfg.mp_cfg.mp_start_method=spawn',
        cwd=desk,
    )  # fmt: skip
    assert 'loss_mask' in output
    return desk / 'work' / 'iter_2.pth'

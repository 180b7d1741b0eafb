"""Fixtures that every room's tests share."""

import os
import sys
from pathlib import Path

import pytest
import torch

from swin_mmdet.errors import UserError

# float32 is compared with float32: in TF32, which cuDNN takes unasked, convolutions differ in the fourth digit
torch.backends.cudnn.allow_tf32 = False
if not torch.cuda.is_available():
    # before anything imports triton: its kernels then run on CPU tensors, slowly, for their tests
    os.environ.setdefault('TRITON_INTERPRET', '1')

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope='session')
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder with coco_mini, nuclei and eval_fixtures, which is not part of the repository."""
    folder = Path(os.environ.get('SWIN_MMDET_DATA', ROOT.parent / 'shared' / 'data'))
    if not folder.is_dir():
        pytest.skip(f'no data at {folder}; set SWIN_MMDET_DATA')
    return folder


@pytest.fixture(scope='module', autouse=True)
def _scope_of_a_fresh_process() -> None:
    """No file's names are looked up in the scope of a runner that a file before it has left in this process."""
    registry = sys.modules.get('mmengine.registry')
    if registry is not None:
        registry.DefaultScope._instance_dict.clear()


@pytest.fixture(autouse=True)
def lines_are_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of `log_once` reach `caplog`, also where a run in this process has left a log that would take them."""
    monkeypatch.setattr('swin_mmdet.ops.log.ONE_PLACE.run_log', lambda: None)


@pytest.fixture
def user_error() -> type[Exception]:
    """What a program raises for a mistake of its user."""
    return UserError

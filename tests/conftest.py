"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest

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

"""mmdet's registries for these tests, whatever scope the tests before left."""

import pytest

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.utils import register_all_modules


@pytest.fixture(autouse=True)
def _scope():
    register_all_modules()

"""mmdet's registries and mmcv's defaults for these tests, whatever the tests before left."""

import pytest

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmcv.cnn.bricks.transformer import MultiheadAttention
from mmdet.utils import register_all_modules


@pytest.fixture(autouse=True)
def _scope():
    register_all_modules()


@pytest.fixture(autouse=True)
def _no_dropout_of_others():
    """mmcv's attention writes the dropout that it is given into the default of all that are made after it."""
    for value in MultiheadAttention.__init__.__defaults__:
        if isinstance(value, dict) and 'drop_prob' in value:
            value['drop_prob'] = 0.0

"""Importing swin_mmdet.compat: silent, complete, without the libraries it patches, and repeatable."""

import importlib
import pkgutil
import sys

import fresh_python
import pytest

import swin_mmdet.compat
from swin_mmdet.compat import find_loader

MISSING = [(), ('mmcv', 'mmdet'), ('mmengine', 'mmcv', 'mmdet'), ('torch', 'mmengine', 'mmcv')]


@pytest.mark.parametrize('missing', MISSING, ids=str)
def test_importing_prints_nothing_whatever_is_installed(missing):
    assert fresh_python.run('import swin_mmdet.compat', missing=missing) == ''


def test_importing_leaves_mmdet_mmcv_and_torchvision_alone():
    code = """
        import swin_mmdet.compat
        print([name for name in ('mmdet', 'mmcv', 'torchvision') if name in sys.modules])
    """
    assert fresh_python.run(code) == '[]\n'


def test_every_patch_can_be_applied_again():
    finders = len(sys.meta_path)
    importlib.reload(swin_mmdet.compat)
    assert len(sys.meta_path) == finders


def test_find_loader_is_put_back_where_python_dropped_it(monkeypatch):
    # Set first, so that the test puts back whatever this Python has.
    monkeypatch.setattr(pkgutil, 'find_loader', None, raising=False)
    del pkgutil.find_loader
    find_loader.apply()
    assert pkgutil.find_loader('json').name == 'json'
    assert pkgutil.find_loader('no_such_module') is None

"""`mim` gets a pkg_resources that runs, and nobody else does."""

from pathlib import Path

import fresh_python
import pytest

# as openmim's modules do
MIM = """
import importlib
import pkg_resources
from pkg_resources import get_distribution, parse_version
import pip._vendor.pkg_resources

def location(package):
    importlib.reload(pkg_resources)
    try:
        return get_distribution(package).location
    except pkg_resources.DistributionNotFound:
        return None
"""
CODE = """
    import swin_mmdet.compat
    import mim
    print(mim.location('pip') is not None, mim.location('no-such-package'))
    print(mim.parse_version('1.10') > mim.parse_version('1.9'))
"""


@pytest.fixture
def mim(tmp_path: Path) -> Path:
    (tmp_path / 'mim.py').write_text(MIM)
    return tmp_path


def test_without_any(mim: Path):
    pytest.importorskip('pip._vendor.pkg_resources')
    assert fresh_python.run(CODE, missing=('pkg_resources',), first=(mim,)).startswith('True None\nTrue\n')


def test_with_one_that_is_too_old_for_this_python(mim: Path):
    pytest.importorskip('pip._vendor.pkg_resources')
    (mim / 'pkg_resources.py').write_text('import pkgutil\npkgutil.NoSuchImporter\n')
    assert fresh_python.run(CODE, first=(mim,)).startswith('True None\nTrue\n')


def test_with_one_that_runs(mim: Path):
    (mim / 'pkg_resources.py').write_text('get_distribution = parse_version = None\nname = "its own"\n')
    (mim / 'mim.py').write_text('import pkg_resources\n')
    code = 'import swin_mmdet.compat, mim; print(mim.pkg_resources.name)'
    assert fresh_python.run(code, first=(mim,)) == 'its own\n'

"""Patches run when somebody imports what they mend, and the import system shows no trace of them."""

import sys
from importlib import import_module, reload
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from pathlib import Path

import fresh_python
import pytest

from swin_mmdet.compat import on_import


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A module that notes how often it was executed."""
    name = f'mended_{tmp_path.name}'.replace('-', '_')
    (tmp_path / f'{name}.py').write_text('"""Text."""\nstate = globals().get("state", "") + "executed "\n')
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)
    on_import.FINDER.before.pop(name, None)
    on_import.FINDER.after.pop(name, None)


def add(word: str):
    def patch(module) -> None:
        module.state = getattr(module, 'state', '') + f'{word} '

    return patch


def test_patches_run_around_the_execution(name: str):
    on_import.after(name, add('after'))
    on_import.before(name, add('before'))
    assert name not in sys.modules
    assert import_module(name).state == 'before executed after '


def test_a_module_that_is_there_is_patched_at_once_and_each_patch_counts_once(name: str):
    import_module(name)
    patch = add('after')
    on_import.after(name, patch)
    on_import.after(name, patch)
    assert import_module(name).state == 'executed after '


def test_a_reloaded_module_is_patched_again(name: str):
    on_import.after(name, add('after'))
    module = import_module(name)
    assert reload(module).state == 'executed after executed after '


def test_the_loader_is_the_usual_one(name: str):
    on_import.after(name, add('after'))
    spec = find_spec(name)
    assert spec.loader.get_source(name).startswith('"""Text."""')
    assert name not in sys.modules
    module = import_module(name)
    assert type(module.__loader__) is type(module.__spec__.loader) is SourceFileLoader


def test_a_module_that_does_not_exist_stays_so():
    on_import.after('no_such_module', add('after'))
    assert find_spec('no_such_module') is None
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_module'"):
        import_module('no_such_module')


def test_torch_mmengine_and_mmcv_look_as_without_patches():
    pytest.importorskip('mmdet')
    code = """
        import swin_mmdet.compat
        before = len(sys.modules)
        import torch, mmengine.utils.package_utils, mmengine.config.utils, mmdet.datasets.utils
        for module in (torch, mmengine.utils.package_utils, mmengine.config.utils, mmdet.datasets.utils):
            print(type(module.__loader__).__name__, module.__spec__.loader is module.__loader__)
    """
    assert fresh_python.run(code).splitlines()[-4:] == ['SourceFileLoader True'] * 4

"""`swin-mmdet COMMAND`: every program, found without an import that takes time."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

import swin_mmdet
from swin_mmdet.commands.program import COMMANDS

# called in a fresh interpreter: exit code, words, and which packages are there afterwards
CALL = """
import contextlib, io, json, sys
from swin_mmdet.commands.program import main
text = io.StringIO()
with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
    try:
        main()
    except SystemExit as end:
        code = end.code
print(json.dumps([code, text.getvalue(), sorted({name.partition('.')[0] for name in sys.modules})]))
"""
# nothing of these is needed to say which commands there are
LATE = {'torch', 'mmengine', 'mmcv', 'mmdet', 'numpy', 'cv2', 'matplotlib'}
# of this repository's own pages
NOT_FOR_USERS = {'build_docs', 'render_zoo'}


@pytest.fixture
def call(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, set[str]]]:
    """call(arguments ...) -> exit code, what was printed, and imported packages."""
    monkeypatch.setenv('PYTHONPATH', str(repository))

    def run(*words: str) -> tuple[int, str, set[str]]:
        done = subprocess.run([sys.executable, '-c', CALL, *words], capture_output=True, text=True, check=True)
        code, text, imported = json.loads(done.stdout)
        return code, text, set(imported)

    return run


def test_help_lists_every_command_at_once(call: Callable):
    code, text, imported = call('--help')
    assert code == 0
    listed = text[text.index('commands:') :]
    for name, command in COMMANDS.items():
        assert f'\n  {name} ' in listed
        assert command.purpose in listed
    assert not LATE & imported


def test_the_version_is_the_packages(call: Callable):
    assert call('--version')[:2] == (0, f'swin-mmdet {swin_mmdet.__version__}\n')


def test_a_misspelled_command_and_none(call: Callable):
    code, text, imported = call('trian', 'config.py')
    assert (code, text) == (2, 'error: no command trian; did you mean train? (--help lists the arguments)\n')
    assert not LATE & imported
    assert call('paint')[:2] == (
        2, f'error: no command paint; there are {", ".join(COMMANDS)} (--help lists the arguments)\n'
    )  # fmt: skip
    assert call()[0] == 2


def test_a_command_has_its_arguments_name_and_exit_code(call: Callable):
    code, text, imported = call('analyze', '--help')
    assert code == 0
    assert text.startswith('usage: swin-mmdet analyze ')
    assert '--shape' in text
    assert 'torch' not in imported
    code, text, _ = call('train', 'nowhere.py')
    assert code == 2
    assert text.startswith('error: no config at nowhere.py')


def test_every_tool_is_a_command_and_calls_the_same(repository: Path):
    tools = {path.stem: path.read_text() for path in (repository / 'tools').glob('*.py')}
    modules = {command.module for command in COMMANDS.values()}
    assert modules == tools.keys() - NOT_FOR_USERS
    for name in modules:
        assert f'from swin_mmdet.commands.{name} import main\n' in tools[name]
        assert len(tools[name].splitlines()) < 10
        assert callable(import_module(f'swin_mmdet.commands.{name}').main)

"""`swin-mmdet doctor` in environments that are broken: fakes of packages in a folder before all others."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = '__version__ = "9.9"\n'
# files of packages, light and broken in the way that they break
FAKES = {
    'numpy/__init__.py': GOOD + 'uint8 = int\ndef zeros(*args): return args\nones = asfortranarray = zeros\n',
    'torch/__init__.py': 'raise ImportError("libcudart.so.12: cannot open shared object file: No such file")\n',
    'torchvision/__init__.py': 'import torch\n',
    'cv2.py': 'raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")\n',
    'pycocotools/__init__.py': '',
    'pycocotools/mask.py': 'raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")\n',
    'mmengine/__init__.py': 'import torch\n',
}
KILLED = {'cv2.py': 'import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n'}


@pytest.fixture
def doctor(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """doctor(files, arguments of Python) -> exit code and words."""

    def run(files: dict[str, str], *python: str) -> tuple[int, str]:
        for name, text in files.items():
            path = tmp_path / 'fakes' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setenv('PYTHONPATH', f'{tmp_path / "fakes"}:{repository}')
        command = [sys.executable, *python, str(repository / 'tools/doctor.py')]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert 'Traceback' not in done.stderr, done.stderr
        return done.returncode, done.stdout

    return run


def test_each_broken_package_is_named_with_its_remedy(doctor: Callable):
    code, text = doctor(FAKES)
    assert code == 1
    for words in (
        'torch: the CUDA libraries that torch brings are missing',
        'opencv: opencv-python needs libraries of a desktop',
        'pycocotools: a compiled package was built for another numpy',
        'pip install --force-reinstall --no-deps opencv-python-headless',
        'mmengine       not tried: torch comes first',
    ):
        assert words in text, text


def test_a_package_that_ends_its_process_is_named_and_the_others_are_tried(doctor: Callable):
    code, text = doctor(FAKES | KILLED)
    assert code == 1
    assert 'opencv: OpenCV is broken (ends its process: SIGSEGV)' in text
    assert 'pycocotools: a compiled package' in text


def test_it_works_where_nothing_is_installed(doctor: Callable):
    """Without site-packages, there is neither numpy nor torch nor mmdet."""
    code, text = doctor({}, '-S')
    assert code == 1
    for name in ('numpy', 'torch', 'mmengine', 'mmcv', 'mmdet'):
        assert f'{name}: {name} is not installed' in text, text


@pytest.mark.long
def test_this_environment_is_healthy(doctor: Callable):
    """It runs these tests; limits of the machine are its own."""
    code, text = doctor({})
    listed = text.partition('problem')[2]
    assert code == 0 or 'shared memory' in listed, text
    assert "shifted_window_attention by '" in text

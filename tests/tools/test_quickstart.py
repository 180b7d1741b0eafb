"""quickstart.sh from end to end, a few iterations."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import TOOLS


@pytest.fixture(scope='module')
def ready_environment() -> str:
    """The environment that runs the tests, if setup_env.sh made it: the test installs nothing."""
    if not list(Path(sys.prefix).glob('.swin_mmdet-*')):
        pytest.skip('this Python environment was not made by tools/setup_env.sh')
    return sys.prefix


@pytest.mark.slow
def test_smoke_run_with_data_of_ones_own(
    run: Callable[..., str], ready_environment: str, shapes: Path, tmp_path: Path
):
    work_dir = tmp_path / 'work dir'
    output = run(
        'bash', TOOLS / 'quickstart.sh', '--smoke', '--data', shapes, '--work-dir', work_dir,
        SWIN_MMDET_VENV=ready_environment,
    )  # fmt: skip
    assert 'installing' not in output
    lines = output.splitlines()
    assert any(line.split()[:3] == ['AP', 'AP50', 'AP75'] for line in lines)
    assert {'box', 'mask'} <= {line.split()[0] for line in lines if line.strip()}
    assert output.count('bbox_mAP_copypaste') == 1, 'evaluated once'
    assert len(list((work_dir / 'predictions/vis').iterdir())) == 2


def test_unknown_argument(run: Callable[..., str]):
    assert 'unknown argument: --fast' in run('bash', TOOLS / 'quickstart.sh', '--fast', code=2)


def test_missing_data_folder(run: Callable[..., str]):
    assert 'no folder' in run('bash', TOOLS / 'quickstart.sh', '--data', 'nowhere', code=2)

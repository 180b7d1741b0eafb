"""After `pip install` of the wheel, MMDetection's own doors are open to whoever never heard of swin_mmdet.compat."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Environment

HERE = Path(__file__).parent
STARTUP = 'swin_mmdet_startup.pth'
# without what openmim asks for besides: a setuptools and a rich too old for what is installed
MIM = ('openmim', 'model-index', 'ordered-set', 'markdown', 'tabulate', 'colorama', 'click', 'requests')
# of what is not compiled, the part that fails first
FIRST_FAULT = """
import importlib, sys
try:
    importlib.import_module('mmcv.ops')
except ImportError as error:
    print(error.name)
else:
    print('works:', type(importlib.util.find_spec('mmcv._ext').loader).__name__)
"""


@pytest.mark.slow
def test_what_scripts_and_notebooks_import(installed: Environment, trained: Path, desk: Path):
    code = 'import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")'
    image = desk / 'shapes/val2017/000001.jpg'
    output = installed.run('-c', code, HERE / 'libraries.py', trained, image, cwd=desk)
    assert 'all libraries work' in output
    assert (desk / 'inferred/vis/000001.jpg').exists()


@pytest.mark.slow
def test_a_runner_under_torchrun_with_mmdet_bases_and_the_drop_in(installed: Environment, desk: Path):
    (desk / 'dropped_in.py').write_text((HERE / 'dropped_in.py').read_text())
    words = ['-m', 'torch.distributed.run', '--nproc-per-node', '2', '--master-port', '29641']
    output = installed.run(*words, HERE / 'runner.py', cwd=desk)
    for rank in (0, 1):
        assert f'rank {rank}: swin_mmdet.' in output


@pytest.mark.slow
def test_mmdet_tools(installed: Environment, tools: Path, trained: Path, desk: Path):
    output = installed.run(HERE / 'mmdet_tools.py', tools, trained, cwd=desk)
    assert 'coco/segm_mAP' in output
    assert (desk / 'results.segm.json').exists()
    assert len(list((desk / 'analyzed').glob('*/*.jpg'))) == 2
    assert (desk / 'confusion/confusion_matrix.png').exists()
    assert len(list((desk / 'browsed').glob('*.jpg'))) == 4
    assert "type='swin_mmdet.SwinTransformer'" in output
    assert len(list(desk.glob('published-*.pth'))) == 1


@pytest.mark.slow
def test_mim(installed: Environment, trained: Path, desk: Path):
    try:
        installed.pip('install', '--no-deps', *MIM)
    except AssertionError as error:
        pytest.skip(f'openmim was not to be had: {str(error)[-200:]}')
    mim, options = installed.python.with_name('mim'), ['--gpus', '0', '--work-dir', 'mim']
    words = ['train', 'mmdet', 'tiny.py', *options, '--cfg-options', 'train_cfg.max_iters=1']
    assert 'Training finished successfully' in installed.run(mim, *words, cwd=desk)
    output = installed.run(mim, 'test', 'mmdet', 'tiny.py', '--checkpoint', trained, *options, cwd=desk)
    assert 'coco/segm_mAP' in output
    assert 'Testing finished successfully' in output


def test_an_editable_install_has_the_start_up_file_until_it_is_uninstalled(
    new_environment: Callable[..., Environment], source: Path
):
    environment = new_environment()
    environment.pip('install', '--force-reinstall', '--no-deps', '--no-index', '--no-build-isolation', '-e', source)
    assert STARTUP in environment.pip('show', '-f', 'swin_mmdet')
    assert environment.run('-c', FIRST_FAULT).startswith('works: ')
    environment.pip('uninstall', '-y', 'swin_mmdet')
    assert not (environment.site_packages / STARTUP).exists()


def test_starting_python_imports_nothing_and_takes_no_time(installed: Environment):
    assert STARTUP in installed.pip('show', '-f', 'swin_mmdet')
    code = f"""
import sys
print([name for name in sys.modules if name.split('.')[0] in ('swin_mmdet', 'torch', 'mmengine', 'mmcv', 'pip')])
import time
line, times = open({str(installed.site_packages / STARTUP)!r}).read(), []
for _ in range(20):
    start = time.perf_counter()
    exec(line)
    times.append(time.perf_counter() - start)
print(min(times))
"""
    modules, seconds = installed.run('-c', code).splitlines()
    assert modules == '[]'
    assert float(seconds) < 1e-3


@pytest.mark.parametrize('value', [None, 'on', 'off', 'False', '0'])
def test_a_variable_switches_it_off(installed: Environment, value: str | None):
    code = "import importlib.util, sys; importlib.util.find_spec('torch'); print('swin_mmdet.compat' in sys.modules)"
    variable = {'SWIN_MMDET_STARTUP': value} if value else {}
    assert installed.run('-c', code, **variable) == f'{value in (None, "on")}\n'


def test_without_it_a_missing_extension_is_missing(installed: Environment):
    output = installed.run('-c', FIRST_FAULT, SWIN_MMDET_STARTUP='off')
    # or there is a compiled one, which needs nothing
    assert output == 'mmcv._ext\n' or (output.startswith('works: ') and 'FallbackFinder' not in output)


def test_it_is_harmless_without_the_libraries_and_when_the_package_is_gone(
    new_environment: Callable[..., Environment], wheel: Path
):
    environment = new_environment(libraries=False)
    environment.pip('install', '--no-deps', '--no-index', wheel)
    code = """
import json, sys
for name in ('torch', 'mmengine', 'mmcv', 'mim'):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error)
"""
    missing = [f"No module named '{name}'" for name in ('torch', 'mmengine', 'mmcv', 'mim')]
    assert environment.run('-c', code, PYTHONPATH='').splitlines() == missing
    (environment.site_packages / 'swin_mmdet').rename(environment.site_packages / 'gone')
    assert environment.run('-c', code, PYTHONPATH='').splitlines() == missing


def test_the_program_and_the_tools_of_the_wheel_start(installed: Environment, desk: Path):
    program = installed.python.with_name('swin-mmdet')
    assert '\n  convert-checkpoint ' in installed.run(program, '--help')
    assert (installed.site_packages / 'swin_mmdet/py.typed').exists()
    tools = installed.site_packages / 'swin_mmdet/.mim/tools'
    names = {path.stem for path in tools.glob('*.py')}
    assert {'train', 'test', 'predict', 'check_dataset', 'convert_checkpoint', 'analyze_model'} < names
    for name in names:
        assert f'usage: {name}.py ' in installed.run(tools / f'{name}.py', '--help')
    assert 'error: no config at nowhere.py' in installed.run(tools / 'train.py', 'nowhere.py', code=2)
    assert '0 problems' in installed.run(program, 'check', 'shapes', cwd=desk)


@pytest.mark.slow
def test_the_program_trains_and_predicts(installed: Environment, desk: Path):
    program = installed.python.with_name('swin-mmdet')
    output = installed.run(program, 'train', 'tiny.py', '--work-dir', 'program', cwd=desk)
    assert 'loss_mask' in output
    words = ['tiny.py', 'program/iter_2.pth', 'shapes/val2017', '--out-dir', 'program/predicted']
    assert '2 images drawn' in installed.run(program, 'predict', *words, cwd=desk)
    # another process starts the same by the name of the module
    words = ['tiny.py', 'program/iter_2.pth', '--work-dir', 'program', '--launcher', 'pytorch']
    start = ['-m', 'torch.distributed.run', '--nproc-per-node', '1', '--master-port', '29643']
    assert 'coco/segm_mAP' in installed.run(*start, '-m', 'swin_mmdet', 'test', *words, cwd=desk)

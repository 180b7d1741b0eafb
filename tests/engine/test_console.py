"""What the console of a run leaves out, and what the file of its log has."""

import logging
import platform
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmengine

# isort: split
from mmengine.logging import MMLogger

from swin_mmdet.commands.run import run_cli
from swin_mmdet.early_lines import EARLY_LINES
from swin_mmdet.engine.console import describe_groups, device_name, open_log, prints_in_file, versions


@pytest.fixture
def consoles(tmp_path: Path, capsys: pytest.CaptureFixture) -> Callable[[Callable], tuple[str, str]]:
    """consoles(function) opens a log, calls the function with it, and returns what its console and its file have."""

    def call(function: Callable[[MMLogger], None]) -> tuple[str, str]:
        # made by its class, it is not the current one of this process
        log = MMLogger('a run', log_file=str(tmp_path / 'run.log'))
        with warnings.catch_warnings():
            warnings.simplefilter('always')
            open_log(log, seed=7, processes=2)
            function(log)
        return capsys.readouterr().out, (tmp_path / 'run.log').read_text()

    return call


def test_lists_for_machines_are_in_the_file_alone(consoles):
    def run(log: MMLogger) -> None:
        log.info('Config:\na = 1')
        log.info('paramwise_options -- neck.weight:lr=0.1')
        log.info('Hooks will be executed in the following order:\nbefore_run:')
        log.warning('"FileClient" will be deprecated in future')
        log.warning('neck.0.weight is skipped since its requires_grad=False')
        log.info('Iter(train) [1/2]')

    console, file = consoles(run)
    for part in ('a = 1', 'paramwise', 'before_run', 'FileClient', 'neck.0.weight'):
        assert part not in console
        assert part in file
    for part in ('Iter(train) [1/2]', ' 2 x ', f'torch {torch.__version__}', 'seed 7', 'run.log'):
        assert part in console
        assert part in file


def test_two_lines_say_what_runs(consoles, tmp_path: Path):
    console, _ = consoles(lambda _: None)
    machine, seed = (line.split(' - INFO - ')[1] for line in console.splitlines())
    assert machine == f'2 x {device_name()}; {", ".join(versions())}'
    log = f'{tmp_path}/run.log'
    assert seed == f'seed 7; the whole log, with the config, environment, hooks and parameter groups: {log}'


def test_the_device_and_the_versions(monkeypatch: pytest.MonkeyPatch):
    there = {'onedl-mmdetection': '3', 'mmengine': '1', 'onedl-mmengine': '2', 'mmcv-lite': '4', 'swin_mmdet': '0'}

    def version_of(name: str) -> str:
        if name not in there:
            raise PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr('swin_mmdet.engine.console.version', version_of)
    packages = ['onedl-mmdetection 3', 'mmengine 1', 'mmcv-lite 4', 'swin_mmdet 0']
    assert list(versions()) == [f'Python {platform.python_version()}', f'torch {torch.__version__}', *packages]
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch, 'get_num_threads', lambda: 3)
    assert device_name() == f'{platform.machine()} CPU with 3 threads'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda: 'H100')
    assert device_name() == 'H100'


def test_what_was_said_before_is_once_in_the_file(consoles):
    EARLY_LINES.keep('BN instead of SyncBN')
    console, file = consoles(EARLY_LINES.hand_over)
    assert file.count('swin_mmdet - INFO - BN instead of SyncBN\n') == 1
    assert 'SyncBN' not in console


def test_warnings_of_libraries_are_a_line(consoles):
    def run(_: MMLogger) -> None:
        for _ in range(2):
            warnings.warn('the disk is nearly full', stacklevel=1)
            warnings.warn('amp.GradScaler is deprecated', FutureWarning, stacklevel=1)

    console, file = consoles(run)
    assert 'amp.GradScaler' not in console
    assert file.count('FutureWarning: amp.GradScaler is deprecated (') == 1
    for text in (console, file):
        assert text.count('UserWarning: the disk is nearly full (') == 1


def test_prints_go_to_the_file(consoles):
    def run(log: MMLogger) -> None:
        with prints_in_file(log):
            print('creating index...')
            log.info('the data are ready')

    console, file = consoles(run)
    assert 'creating index' not in console
    assert 'creating index...' in file
    assert 'the data are ready' in console


def test_parameter_groups_in_a_line():
    weight, bias, frozen = (torch.nn.Parameter(torch.zeros(2), requires_grad=on) for on in (True, True, False))
    groups = [dict(params=[weight, frozen], lr=0.001), dict(params=[bias], weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=0.01, weight_decay=0.05)
    said = 'AdamW: 2 tensors train, learning rate 0.001 to 0.01, weight decay 0.05 (none for 1 of them)'
    assert describe_groups(optimizer) == said
    optimizer = torch.optim.SGD([weight], lr=0.1)
    assert describe_groups(optimizer) == 'SGD: 1 tensors train, learning rate 0.1, no weight decay'


def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture):
    log = MMLogger('a full disk', log_file=str(tmp_path / 'run.log'))
    open_log(log, seed=7, processes=1)
    (file,) = (handler for handler in log.handlers if isinstance(handler, logging.FileHandler))
    file.setStream(open('/dev/full', 'w'))  # noqa: SIM115
    for step in range(3):
        log.info(f'step {step}')
    console, errors = capsys.readouterr()
    assert console.count('step ') == 3
    assert errors.count('run.log cannot be written ([Errno 28] No space left on device); training goes on') == 1
    assert 'Traceback' not in errors
    file.stream = None


def test_what_libraries_say_to_their_developers_is_for_the_file(capfd):
    logger = logging.getLogger('torch.utils._pytree')
    for _ in range(2):
        with pytest.raises(SystemExit):
            run_cli(lambda: 0)
    try:
        logger.warning('an enum is deprecated')
        assert [record.getMessage() for record in EARLY_LINES.records[-1:]] == ['an enum is deprecated']
        assert capfd.readouterr() == ('', '')
    finally:
        EARLY_LINES.records.clear()
        logger.removeHandler(EARLY_LINES)
        logger.propagate = True

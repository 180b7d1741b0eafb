"""The console and the log file of a training, as a user of train.py finds them."""

from pathlib import Path

import pytest

# what is said before there is a runner, by the runner, by the operations, and at the end
SAID = (
    'annotations/instances_train2017.json: 4 images, ',
    'Python 3.',
    'seed 0; the whole log, with the config, environment, hooks and parameter groups: ',
    'SGD: ',
    'batch 2 = 1 processes x 2 images x 1 accumulated; learning rate 0.01; optimizer steps: 2 an epoch',
    'stages run module by module: ',
    "shifted_window_attention runs on 'tiled'",
    'Saving checkpoint at 3 epochs',
)
FILE_ONLY = (
    'System environment:', '- Config:\n', 'Hooks will be executed in the following order', 'Exp name: ',
    'creating index...',
)  # fmt: skip


@pytest.fixture(scope='module')
def console(trained: Path) -> str:
    return (trained / 'console.txt').read_text()


@pytest.fixture(scope='module')
def file(trained: Path) -> str:
    (path,) = trained.glob('*/*.log')
    return path.read_text()


@pytest.mark.parametrize('line', SAID)
def test_each_line_is_there_once(line: str, console: str, file: str):
    assert console.count(line) == 1
    assert file.count(line) == 1


@pytest.mark.parametrize('line', FILE_ONLY)
def test_long_lists_are_in_the_file_alone(line: str, console: str, file: str):
    assert line in file
    assert line not in console


def test_progress_begins_soon(console: str, file: str):
    def lines_before(text: str) -> int:
        return text.partition('Epoch(train)')[0].count('\n')

    assert 'eta: ' in console
    assert lines_before(console) <= 16
    assert lines_before(file) > 300

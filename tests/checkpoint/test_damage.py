"""What is wrong with the bytes of a checkpoint, and with its numbers."""

import zipfile
from pathlib import Path

import pytest
import torch

from swin_mmdet.checkpoint.damage import damage, non_finite


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / 'iter_5.pth'
    torch.save({'state_dict': {'weight': torch.arange(10000.0)}, 'meta': {'iter': 5}}, path)
    return path


def position(path: Path, record: str) -> int:
    """Where in the file the middle of a record's bytes is."""
    with zipfile.ZipFile(path) as archive:
        info = next(one for one in archive.infolist() if one.filename.endswith(record))
        with archive.open(info) as file:
            content = file.read()
    return path.read_bytes().index(content) + len(content) // 2


def change(path: Path, where: int, new: bytes) -> None:
    content = bytearray(path.read_bytes())
    content[where : where + len(new)] = new
    path.write_bytes(content)


def test_a_whole_one(whole: Path):
    assert damage(whole) is None


@pytest.mark.parametrize('record', ['data/0', 'data.pkl'])
def test_one_bit(whole: Path, record: str):
    where = position(whole, record)
    change(whole, where, bytes([whole.read_bytes()[where] ^ 1]))
    if record == 'data/0':
        # what nobody notices otherwise
        torch.load(whole, weights_only=True)
    assert damage(whole).endswith(f'{record} does not fit its checksum')


def test_zeros_in_the_middle(whole: Path):
    change(whole, position(whole, 'data/0') - 2048, bytes(4096))
    assert 'does not fit its checksum' in damage(whole)


@pytest.mark.parametrize('size', [0, 1, 700, 20000])
def test_cut(whole: Path, size: int):
    whole.write_bytes(whole.read_bytes()[:size])
    assert damage(whole).startswith(f'it is cut off or damaged ({size} bytes')


def test_gone(tmp_path: Path):
    assert damage(tmp_path / 'iter_1.pth') == 'it is gone'


def test_numbers_that_are_none():
    state = {'a': torch.ones(3), 'b': torch.ones(2, dtype=torch.long)}
    moments = {'state': {0: {'exp_avg': torch.ones(3)}}}
    assert non_finite({'state_dict': state, 'optimizer': moments}) is None
    moments['state'][0]['exp_avg'][1] = float('inf')
    assert non_finite({'state_dict': state, 'optimizer': moments}) == 'optimizer.state.0.exp_avg'
    state['a'][2] = float('nan')
    assert non_finite({'state_dict': state, 'optimizer': moments}) == 'state_dict.a'

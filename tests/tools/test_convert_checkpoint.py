"""convert_checkpoint.py: what it prints, what it writes, what it refuses."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from swin_mmdet.checkpoint import read_checkpoint
from tests.checkpoint import published
from tests.checkpoint.libraries import Sizes

from .conftest import TOOLS
from .test_train import copypaste, weights

SIZES = Sizes(96, (2, 2, 6, 2), (3, 6, 12, 24), 7, 224)
SMALL = Sizes(8, (1, 2), (1, 2), 4, 64)


def convert(*arguments: object) -> None:
    importlib.import_module('swin_mmdet.commands.convert_checkpoint').main([str(argument) for argument in arguments])


@pytest.fixture
def official(tmp_path: Path) -> Path:
    torch.save(published.official(published.microsoft_state_dict(SMALL)), tmp_path / 'official.pth')
    return tmp_path / 'official.pth'


def test_inspect_tells_what_one_wants_to_know(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = tmp_path / 'swin.pth'
    torch.save(published.official(published.microsoft_state_dict(SIZES)), path)
    convert('--inspect', path)
    output = capsys.readouterr().out
    for line in (
        r'format        official, SwinV1: it has the key',
        'architecture  embed_dims 96, depths 2-2-6-2, num_heads 3-6-12-24, window 7, in_channels 3 = tiny',
        'norms         norm0, norm1, norm2, norm3',
        'beside it     neck.lateral_convs (1), rpn_head.rpn_conv (1)',
        'classes       2: cat, dog',
        'epoch         12',
        'mmdet_version 2.11.0',
        'EMA           no',
    ):
        assert line in output, line


def test_averaged_weights_are_taken_unless_raw_ones_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture):
    raw = published.timm_by_key_list(published.microsoft_state_dict(SMALL, seed=0))
    averaged = published.timm_by_key_list(published.microsoft_state_dict(SMALL, seed=1))
    torch.save({'state_dict': raw, 'state_dict_ema': averaged}, tmp_path / 'timm.pth.tar')
    convert('--inspect', tmp_path / 'timm.pth.tar')
    assert 'the file holds averaged and raw weights' in capsys.readouterr().out
    for options, expected in (([], averaged), (['--raw'], raw)):
        target = tmp_path / f'timm{len(options)}.safetensors'
        convert(tmp_path / 'timm.pth.tar', target, '--to', 'timm', *options)
        found = read_checkpoint(target).state_dict
        assert found.keys() == expected.keys()
        assert all(torch.equal(value, found[key]) for key, value in expected.items())


def test_what_has_no_place_is_told(official: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    convert(official, tmp_path / 'timm.pth', '--to', 'timm')
    output = capsys.readouterr().out
    assert 'left out: 4 (timm: its feature maps have no norms)' in output
    assert 'left out: 2 (timm has no detectors)' in output
    convert(official, tmp_path / 'mmdet.pth', '--to', 'mmdet')
    checkpoint = torch.load(tmp_path / 'mmdet.pth')
    assert checkpoint['meta'] == {'dataset_meta': {'classes': ('cat', 'dog')}}
    assert {key.split('.')[0] for key in checkpoint['state_dict']} == {'backbone', 'neck', 'rpn_head'}


def test_mistakes(official: Path, tmp_path: Path, user_error: type[Exception]):
    broken = tmp_path / 'broken.pth'
    broken.write_bytes(official.read_bytes()[:2000])
    target = tmp_path / 'out.pth'
    for arguments, message in (
        ([official], 'name the file to write'),
        ([official, target], '--to the program'),
        ([official, tmp_path / 'out.onnx', '--to', 'timm'], r'out\.onnx: the name must end in one of \.pth'),
        ([official, official, '--to', 'timm'], r'official\.pth exists'),
        ([official, tmp_path / 'no' / 'out.pth', '--to', 'timm'], 'no folder .*no to write into'),
        ([official, target, '--to', 'timm', '--inspect'], '--inspect writes nothing'),
        ([tmp_path / 'nothing.pth', target, '--to', 'timm'], r'nothing\.pth.* does not exist'),
        ([broken, target, '--to', 'timm'], r'broken\.pth.* cannot be read'),
        ([official, target, '--to', 'timm', '--prefix', 'neck'], r'official\.pth: no Swin backbone under the prefix'),
    ):
        with pytest.raises(user_error, match=message):
            convert(*arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['broken.pth', 'official.pth']


@pytest.mark.slow
@pytest.mark.parametrize('program', ['official', pytest.param('mmdet', marks=pytest.mark.long)])
def test_a_detector_of_another_program_evaluates_the_same(
    program: str, run: Callable[..., str], trained: Path, config: Path, shapes: Path, tmp_path: Path
):
    convert(trained / 'epoch_3.pth', tmp_path / 'other.pth', '--to', program)
    options = ['--data', shapes, '--work-dir', tmp_path / 'work']
    ours = run(sys.executable, TOOLS / 'test.py', config, trained / 'epoch_3.pth', *options)
    theirs = run(sys.executable, TOOLS / 'test.py', config, tmp_path / 'other.pth', *options)
    assert f'format {program} V1' in theirs
    assert copypaste(ours) == copypaste(theirs) != []


@pytest.mark.slow
def test_training_starts_from_a_detector_of_another_program(
    run: Callable[..., str], trained: Path, config: Path, shapes: Path, tmp_path: Path
):
    """With a learning rate of zero the weights after an epoch are those of the file, and so is their average."""
    convert(trained / 'epoch_3.pth', tmp_path / 'official.safetensors', '--to', 'official')
    averaging = tmp_path / 'averaging.py'
    averaging.write_text(f"_base_ = {str(config)!r}\ncustom_hooks = [dict(type='EMAHook')]\n")
    source = tmp_path / 'official.safetensors'
    options = [f'load_from={source}', 'optim_wrapper.optimizer.lr=0', 'train_cfg.max_epochs=1']
    command = [sys.executable, TOOLS / 'train.py', averaging, '--data', shapes, '--work-dir', tmp_path / 'work']
    output = run(*command, '--cfg-options', *options)
    assert 'format official V1' in output
    expected = weights(trained, 3)
    for averaged in (True, False):
        found = read_checkpoint(tmp_path / 'work' / 'epoch_1.pth', averaged)
        assert found.has_raw_and_averaged
        assert all(torch.equal(value, found.state_dict[key]) for key, value in expected.items())

"""Where a resumed run goes on from, after a kill at any moment and after a move of its folder."""

import os
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.engine.last_checkpoint import best_checkpoint, last_checkpoint, resume


def save(folder: Path, *names: str, last: str | None = None) -> None:
    """Files of checkpoints in the order of their age, and what `last_checkpoint` names."""
    for age, name in enumerate(names):
        torch.save({'state_dict': {'weight': torch.zeros(100)}}, folder / name)
        os.utime(folder / name, (age, age))
    if last is not None:
        (folder / 'last_checkpoint').write_text(last, 'latin1')


def test_the_named_one_is_taken_without_a_word(tmp_path: Path):
    # older by the clock than another, as after a copy
    save(tmp_path, 'epoch_2.pth', 'epoch_1.pth', last=str(tmp_path / 'epoch_2.pth'))
    assert last_checkpoint(tmp_path) == (tmp_path / 'epoch_2.pth', [])


def test_a_folder_that_never_had_one(tmp_path: Path):
    assert last_checkpoint(tmp_path) == (None, [])
    assert last_checkpoint(tmp_path / 'not yet there') == (None, [])


def test_a_folder_that_was_moved(tmp_path: Path):
    save(tmp_path, 'epoch_1.pth', 'epoch_2.pth', last='/gone/work_dirs/run/epoch_2.pth')
    assert last_checkpoint(tmp_path)[0] == tmp_path / 'epoch_2.pth'


def test_a_copied_folder_goes_on_from_its_own(tmp_path: Path):
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        save(tmp_path / name, 'epoch_2.pth', last=str(tmp_path / 'one/epoch_2.pth'))
    assert last_checkpoint(tmp_path / 'two')[0] == tmp_path / 'two/epoch_2.pth'


def test_checkpoints_of_another_folder(tmp_path: Path):
    """mmengine's `out_dir`."""
    (tmp_path / 'far').mkdir()
    save(tmp_path / 'far', 'iter_10.pth')
    save(tmp_path, last=str(tmp_path / 'far/iter_10.pth'))
    assert last_checkpoint(tmp_path)[0] == tmp_path / 'far/iter_10.pth'


@pytest.mark.parametrize('last', ['', 'epoch_3.pth', '\0' * 40, '\x93\xff'])
def test_a_kill_while_saving(tmp_path: Path, last: str):
    """As mmengine saves: half of a checkpoint is there, and its name is noted, or is about to be."""
    save(tmp_path, 'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'best_coco_bbox_mAP_epoch_3.pth', last=last)
    (tmp_path / 'epoch_3.pth').write_bytes((tmp_path / 'epoch_3.pth').read_bytes()[:600])
    path, (line,) = last_checkpoint(tmp_path)
    assert path == tmp_path / 'epoch_2.pth'
    assert line.startswith(f'{tmp_path / "epoch_3.pth"} is passed over, it is cut off or damaged (600 bytes')


def test_a_newer_one_that_nothing_names(tmp_path: Path):
    save(tmp_path, 'iter_200.pth', 'iter_1000.pth', 'iter_90.pth', last='iter_200.pth')
    assert last_checkpoint(tmp_path) == (tmp_path / 'iter_1000.pth', [])


def test_epochs_and_iterations_compare_by_what_is_in_them(tmp_path: Path):
    """A run that counts epochs is stopped in the middle of one."""
    for name, iteration in (('epoch_3.pth', 30), ('iter_25.pth', 25), ('epoch_2.pth', 20)):
        torch.save({'state_dict': {}, 'meta': {'iter': iteration}}, tmp_path / name)
    assert last_checkpoint(tmp_path) == (tmp_path / 'epoch_3.pth', [])
    (tmp_path / 'epoch_3.pth').write_bytes(b'')
    path, (line,) = last_checkpoint(tmp_path)
    assert path == tmp_path / 'iter_25.pth'
    assert f'{tmp_path / "epoch_3.pth"} is passed over, it is cut off or damaged (0 bytes' in line


def test_one_bit(tmp_path: Path):
    save(tmp_path, 'iter_5.pth', 'iter_10.pth', last='iter_10.pth')
    content = bytearray((tmp_path / 'iter_10.pth').read_bytes())
    # the weights are zeros
    content[content.index(bytes(300)) + 150] ^= 1
    (tmp_path / 'iter_10.pth').write_bytes(content)
    path, (line,) = last_checkpoint(tmp_path)
    assert path == tmp_path / 'iter_5.pth'
    assert 'iter_10/data/0 does not fit its checksum' in line


def test_weights_that_are_no_numbers(tmp_path: Path, user_error: type[Exception]):
    save(tmp_path, 'iter_5.pth', 'iter_10.pth', last='iter_10.pth')
    torch.save({'state_dict': {'weight': torch.tensor([1.0, float('nan')])}}, tmp_path / 'iter_10.pth')
    path, (line,) = last_checkpoint(tmp_path)
    assert path == tmp_path / 'iter_5.pth'
    assert line.endswith('its state_dict.weight holds NaN or infinity')
    match = r'--resume .*iter_10\.pth: its state_dict\.weight holds NaN or infinity; give'
    with pytest.raises(user_error, match=match):
        resume(Config(dict(work_dir=str(tmp_path))), str(tmp_path / 'iter_10.pth'))
    cfg = Config(dict(work_dir=str(tmp_path)))
    assert resume(cfg, 'auto') == [f'--resume: {line}']
    assert cfg.load_from == str(path)


def test_none_is_whole(tmp_path: Path, user_error: type[Exception]):
    save(tmp_path, last='work_dirs/run/iter_50.pth')
    with pytest.raises(
        user_error, match=r'no good checkpoint in .*last_checkpoint names .*iter_50\.pth; give the path'
    ):
        last_checkpoint(tmp_path)
    (tmp_path / 'iter_50.pth').write_bytes(b'PK')
    with pytest.raises(user_error, match=r'; iter_50\.pth: it is cut off or damaged \(2 bytes; .*\); give the path'):
        last_checkpoint(tmp_path)
    with pytest.raises(user_error, match=r'--resume: no good .*another, or another --work-dir to start anew$'):
        resume(Config(dict(work_dir=str(tmp_path))), 'auto')


def test_the_best_is_the_newest_good_one(tmp_path: Path):
    assert best_checkpoint(tmp_path) == (None, [])
    names = 'best_coco_bbox_mAP_epoch_9.pth', 'best_coco_segm_mAP_epoch_12.pth', 'epoch_30.pth', 'best_of_all.pth'
    save(tmp_path, *names)
    assert best_checkpoint(tmp_path) == (tmp_path / 'best_coco_segm_mAP_epoch_12.pth', [])
    (tmp_path / 'best_coco_segm_mAP_epoch_12.pth').write_bytes(b'PK')
    path, (line,) = best_checkpoint(tmp_path)
    assert path == tmp_path / 'best_coco_bbox_mAP_epoch_9.pth'
    assert 'epoch_12.pth is passed over' in line


def test_an_empty_note_and_no_checkpoint(tmp_path: Path, user_error: type[Exception]):
    save(tmp_path, last='')
    with pytest.raises(user_error, match='no good checkpoint'):
        last_checkpoint(tmp_path)

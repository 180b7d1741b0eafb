"""Where a resumed run goes on from, after a kill at any moment and after a move of its folder."""

import os
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.engine.last_checkpoint import keep_two, last_checkpoint


def save(folder: Path, *names: str, last: str | None = None) -> None:
    """Files of checkpoints in the order of their age, and what `last_checkpoint` names."""
    for age, name in enumerate(names):
        torch.save({'state_dict': {'weight': torch.zeros(100)}}, folder / name)
        os.utime(folder / name, (age, age))
    if last is not None:
        (folder / 'last_checkpoint').write_text(last)


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


@pytest.mark.parametrize('last', ['', 'epoch_3.pth'])
def test_a_kill_while_saving(tmp_path: Path, last: str):
    """Half of a checkpoint is there, and its name is noted, or is about to be."""
    save(tmp_path, 'epoch_1.pth', 'epoch_2.pth', 'epoch_3.pth', 'best_coco_bbox_mAP_epoch_3.pth', last=last)
    (tmp_path / 'epoch_3.pth').write_bytes((tmp_path / 'epoch_3.pth').read_bytes()[:600])
    path, (line,) = last_checkpoint(tmp_path)
    assert path == tmp_path / 'epoch_2.pth'
    assert f'{tmp_path / "epoch_3.pth"} is gone or cut off; goes on from {path}' in line


def test_none_is_whole(tmp_path: Path, user_error: type[Exception]):
    save(tmp_path, last='work_dirs/run/iter_50.pth')
    with pytest.raises(
        user_error, match=r'no whole checkpoint in .*last_checkpoint names .*iter_50\.pth; give the path'
    ):
        last_checkpoint(tmp_path)


def test_an_empty_note_and_no_checkpoint(tmp_path: Path, user_error: type[Exception]):
    save(tmp_path, last='')
    with pytest.raises(user_error, match='no whole checkpoint'):
        last_checkpoint(tmp_path)


@pytest.mark.parametrize(('asked', 'kept'), [(1, 2), (3, 3), (-1, -1), (None, None)])
def test_one_checkpoint_is_not_enough(asked: int | None, kept: int | None):
    hook = {} if asked is None else {'max_keep_ckpts': asked}
    cfg = Config(dict(default_hooks=dict(checkpoint=hook)))
    lines = keep_two(cfg)
    assert cfg.default_hooks.checkpoint.get('max_keep_ckpts') == kept
    assert [line.startswith('keeps two') for line in lines] == [True] * (asked == 1)
    assert keep_two(Config()) == keep_two(Config(dict(default_hooks=dict(checkpoint=None)))) == []

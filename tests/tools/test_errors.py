"""Mistakes of users end with one message that names the thing and the remedy."""

import importlib
import re
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.commands.run import run_cli
from swin_mmdet.datasets.problems import DatasetCheckError
from swin_mmdet.engine.last_checkpoint import resume


def call(tool: str, *arguments: object) -> object:
    return importlib.import_module(f'swin_mmdet.commands.{tool}').main([str(argument) for argument in arguments])


def test_missing_config(user_error: type[Exception]):
    with pytest.raises(user_error, match=r'no config at nowhere\.py .*configs/'):
        call('train', 'nowhere.py')


def test_config_that_is_no_python(user_error: type[Exception], tmp_path: Path):
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    with pytest.raises(user_error, match=r'broken\.py cannot be read: SyntaxError'):
        call('train', tmp_path / 'broken.py')


@pytest.mark.parametrize('tool', ['test', 'predict'])
def test_missing_checkpoint(tool: str, user_error: type[Exception], config: Path, shapes: Path, tmp_path: Path):
    extra = ['--data', shapes] if tool == 'test' else [shapes / 'val2017', '--out-dir', tmp_path]
    with pytest.raises(user_error, match=r'no checkpoint at nothing\.pth .*train first'):
        call(tool, config, 'nothing.pth', *extra)


def test_truncated_checkpoint(user_error: type[Exception], config: Path, shapes: Path, tmp_path: Path):
    torch.save({'state_dict': {'a': torch.zeros(1000)}}, tmp_path / 'cut.pth')
    (tmp_path / 'cut.pth').write_bytes((tmp_path / 'cut.pth').read_bytes()[:2000])
    with pytest.raises(user_error, match=r'cut\.pth.* cannot be read: it is truncated'):
        call('test', config, tmp_path / 'cut.pth', '--data', shapes)


def test_a_length_in_what_the_config_does_not_count(user_error: type[Exception], config: Path, repository: Path):
    with pytest.raises(user_error, match=r'=9: this config counts epochs \(max_epochs=3\); --iters 9 converts'):
        call('train', config, '--cfg-options', 'train_cfg.max_iters=9')
    quickstart = repository / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py'
    with pytest.raises(user_error, match=r'counts iterations \(max_iters=500\); --epochs 12 converts'):
        call('train', quickstart, '--cfg-options', 'train_cfg.max_epochs=12')


def test_missing_checkpoint_to_resume_from(user_error: type[Exception], config: Path):
    with pytest.raises(user_error, match=r'no checkpoint to resume from at nothing\.pth'):
        call('train', config, '--resume', 'nothing.pth')


def test_resume_without_a_checkpoint_says_so(tmp_path: Path):
    cfg = Config(dict(work_dir=str(tmp_path)))
    assert resume(cfg, 'auto') == [f'--resume: no checkpoint in {tmp_path}, training starts at the beginning']
    assert cfg.resume is False


def test_missing_pretrained_weights(user_error: type[Exception], config: Path, shapes: Path):
    init_cfg = ['model.backbone.init_cfg.type=Pretrained', 'model.backbone.init_cfg.checkpoint=gone.pth']
    with pytest.raises(user_error, match=r'no pretrained weights at gone\.pth'):
        call('train', config, '--data', shapes, '--cfg-options', *init_cfg)


def test_missing_data(config: Path, tmp_path: Path):
    with pytest.raises(DatasetCheckError, match='no such file'):
        call('train', config, '--work-dir', tmp_path, '--cfg-options', f'data_root={tmp_path}')


def test_folder_without_annotations(user_error: type[Exception], config: Path, tmp_path: Path):
    with pytest.raises(user_error, match=r'--data .*no data set is recognised'):
        call('train', config, '--data', tmp_path)


def test_exit_code_and_message_without_traceback(user_error: type[Exception], capsys: pytest.CaptureFixture):
    def main() -> None:
        raise user_error('the thing; the remedy')

    with pytest.raises(SystemExit) as exit_info:
        run_cli(main)
    assert exit_info.value.code == 2
    assert capsys.readouterr().err == 'error: the thing; the remedy\n'


@pytest.mark.parametrize(
    ('script', 'arguments'), [('dist_train.sh', 'CONFIG GPUS'), ('dist_test.sh', 'CONFIG CHECKPOINT GPUS')]
)
def test_shell_scripts_print_their_usage(script: str, arguments: str, run, repository: Path):
    assert re.search(f'usage: .*{script} {arguments}', run('bash', repository / 'tools' / script, code=2))


def test_ctrl_c_is_no_traceback(capsys):
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit, match=r'^130$'):
        run_cli(main)
    assert capsys.readouterr().err == 'interrupted\n'

"""Where the lines of `log_once` arrive, in a fresh process in which nothing about logging is set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# a forward pass in plain PyTorch, then two runs of mmengine's own Runner, then one more pass
SCRIPT = """
import sys
import torch
from swin_mmdet.models import SwinTransformer

sizes = dict(embed_dims=16, depths=(1, 1), num_heads=(1, 2), out_indices=(0, 1), window_size=4)
backbone = SwinTransformer(**sizes)
for _ in range(2):
    backbone(torch.randn(1, 3, 64, 64))
print('END OF PLAIN PYTORCH', flush=True)
print('END OF PLAIN PYTORCH', file=sys.stderr, flush=True)

from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner

@MODELS.register_module()
class Model(BaseModel):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = MODELS.build(backbone)

    def forward(self, image, mode):
        return dict(loss=self.backbone(image)[-1].square().mean())

for name in ('first', 'second'):
    Runner(
        model=dict(type='Model', backbone=dict(type='swin_mmdet.SwinTransformer', **sizes)),
        work_dir=f'{sys.argv[1]}/{name}', experiment_name=name,
        train_dataloader=dict(batch_size=1, dataset=[dict(image=torch.randn(3, 64, 64))] * 2, sampler=dict(
            type='DefaultSampler'), collate_fn=dict(type='default_collate')),
        train_cfg=dict(by_epoch=True, max_epochs=1), optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
    ).train()
    print('END OF A RUN', flush=True)
"""
LINES = (
    'stages run module by module: ',
    "shifted_window_attention runs on 'tiled'",
)


@pytest.fixture(scope='module')
def output(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Work-dirs, stdout and stderr of the script."""
    folder = tmp_path_factory.mktemp('runs')
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, str(folder)], capture_output=True, text=True, cwd=folder, timeout=300,
        env=os.environ | {'PYTHONPATH': str(ROOT), 'CUDA_VISIBLE_DEVICES': '-1', 'OMP_NUM_THREADS': '1'},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return folder, done.stdout, done.stderr


@pytest.mark.parametrize('line', LINES)
def test_plain_pytorch_reads_it_once_on_stderr(line: str, output: tuple[Path, str, str]):
    _, out, err = output
    before, after = err.split('END OF PLAIN PYTORCH')
    assert before.count(f'swin_mmdet: {line}') == 1
    assert line not in after
    assert line not in out.split('END OF PLAIN PYTORCH')[0]


@pytest.mark.parametrize('line', LINES)
def test_each_run_has_it_once_in_its_file_and_on_its_console(line: str, output: tuple[Path, str, str]):
    folder, out, _ = output
    consoles = out.split('END OF PLAIN PYTORCH')[1].split('END OF A RUN')
    for name, console in zip(('first', 'second'), consoles):
        (file,) = (folder / name).glob('*/*.log')
        assert file.read_text().count(f'swin_mmdet - INFO - {line}') == 1
        assert console.count(line) == 1


def test_a_program_that_sets_up_logging_reads_it_its_own_way():
    code = (
        "import logging, sys; logging.basicConfig(stream=sys.stdout, format='mine: %(message)s'); "
        "from swin_mmdet.ops.log import log_once; log_once('a line'); log_once('a line'); "
        "logging.getLogger('swin_mmdet').setLevel('WARNING'); log_once('another line')"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == ('mine: a line\n', '')

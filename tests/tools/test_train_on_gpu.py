"""train.py where there are GPUs: mixed precision through a resume, and several GPUs (NCCL)."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  checkpoints of mmengine

from .conftest import TOOLS
from .test_train import assert_same_weights

GPUS = torch.cuda.device_count()
# cuDNN's convolutions use TF32 and atomics order sums at random; the weights move by more than 1e-2
GPU_ATOL = 1e-3


@pytest.mark.skipif(GPUS < 1, reason='no GPU')
def test_mixed_precision_resumes_with_its_loss_scale(
    run: Callable[..., str], config: Path, shapes: Path, tmp_path: Path
):
    options = ['--data', shapes, '--amp', '--cfg-options', 'optim_wrapper.loss_scale=dynamic']
    one, other = tmp_path / 'one', tmp_path / 'other'
    run(sys.executable, TOOLS / 'train.py', config, *options, '--work-dir', one, CUDA_VISIBLE_DEVICES='0')
    other.mkdir()
    shutil.copy(one / 'epoch_2.pth', other)
    output = run(
        sys.executable, TOOLS / 'train.py', config, *options, '--work-dir', other,
        '--resume', other / 'epoch_2.pth', CUDA_VISIBLE_DEVICES='0',
    )  # fmt: skip

    assert 'AmpOptimWrapper' in output
    scaler, resumed = (torch.load(folder / 'epoch_3.pth')['optimizer']['loss_scaler'] for folder in (one, other))
    assert scaler == resumed
    assert scaler['_growth_tracker'] > 2  # more steps than the resumed epoch has
    assert_same_weights(one, other, atol=GPU_ATOL)


@pytest.mark.skipif(GPUS < 2, reason='fewer than two GPUs')
def test_two_gpus_learn_what_one_does(
    run: Callable[..., str], trained: Path, config: Path, shapes: Path, tmp_path: Path
):
    output = run(
        'bash', TOOLS / 'dist_train.sh', config, '2', '--data', shapes, '--work-dir', tmp_path,
        '--cfg-options', 'train_dataloader.batch_size=1', PORT='29613', CUDA_VISIBLE_DEVICES='0,1',
    )  # fmt: skip
    assert 'nccl' in output
    assert_same_weights(trained, tmp_path, atol=GPU_ATOL)

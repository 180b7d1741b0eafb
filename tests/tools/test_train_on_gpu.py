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
from .test_train_options import log_of

GPUS = torch.cuda.device_count()
# atomics order sums at random; the weights move by more than 1e-2
GPU_ATOL = 1e-3
# convolutions in TF32 differ by as much with the number of images in them
EXACT = {'NVIDIA_TF32_OVERRIDE': '0'}


@pytest.mark.skipif(GPUS < 1, reason='no GPU')
def test_mixed_precision_resumes_with_its_loss_scale(
    run: Callable[..., str], config: Path, shapes: Path, tmp_path: Path
):
    options = ['--data', shapes, '--amp', '--cfg-options', 'optim_wrapper.loss_scale=dynamic']
    one, other = tmp_path / 'one', tmp_path / 'other'
    run(sys.executable, TOOLS / 'train.py', config, *options, '--work-dir', one, CUDA_VISIBLE_DEVICES='0')
    other.mkdir()
    shutil.copy(one / 'epoch_2.pth', other)
    run(
        sys.executable, TOOLS / 'train.py', config, *options, '--work-dir', other,
        '--resume', other / 'epoch_2.pth', CUDA_VISIBLE_DEVICES='0',
    )  # fmt: skip

    assert 'AmpOptimWrapper' in log_of(other)
    scaler, resumed = (torch.load(folder / 'epoch_3.pth')['optimizer']['loss_scaler'] for folder in (one, other))
    assert scaler == resumed
    assert scaler['_growth_tracker'] > 2  # more steps than the resumed epoch has
    assert_same_weights(one, other, atol=GPU_ATOL)


@pytest.mark.skipif(GPUS < 2, reason='fewer than two GPUs')
def test_two_gpus_learn_what_one_does(run: Callable[..., str], config: Path, shapes: Path, tmp_path: Path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    run(
        sys.executable,
        TOOLS / 'train.py',
        config,
        '--data',
        shapes,
        '--work-dir',
        one,
        CUDA_VISIBLE_DEVICES='0',
        **EXACT,
    )
    run(
        'bash', TOOLS / 'dist_train.sh', config, '2', '--data', shapes, '--work-dir', two,
        '--cfg-options', 'train_dataloader.batch_size=1', PORT='29613', CUDA_VISIBLE_DEVICES='0,1', **EXACT,
    )  # fmt: skip
    assert 'nccl' in log_of(two)
    assert_same_weights(one, two, atol=GPU_ATOL)

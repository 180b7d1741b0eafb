"""A program that ends with a training's batches, or their loader, still held ends its workers as well."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = '''
import torch
from torch.utils.data import DataLoader, Dataset
from swin_mmdet.engine.resuming.numbered_batches import NumberedLoader

class Numbers(Dataset):
    def __len__(self):
        return 100

    def __getitem__(self, index):
        return index

loader = DataLoader(Numbers(), batch_size=2, num_workers=1, persistent_workers={persistent})
numbered = NumberedLoader(loader, (1,), True)
held = iter(numbered)
print(next(held).tolist())
if {closed}:
    held.close()
torch.held = held, numbered
'''


@pytest.mark.slow
@pytest.mark.parametrize(('persistent', 'closed'), [(False, False), (True, False), (True, True)])
def test_workers_of_what_is_still_held_end_with_the_program(persistent: bool, closed: bool):
    command = [sys.executable, '-c', PROGRAM.format(persistent=persistent, closed=closed)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == '[0, 1]\n'
    # nor is that an error of the program's; PyTorch warns of an installed torchao
    assert [line for line in done.stderr.splitlines() if 'torch/utils/_pytree.py' not in line] == []

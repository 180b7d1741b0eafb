"""The programs themselves, started with a data set: `check_dataset.py`, `train.py CONFIG` and `train.py --data`."""

import pprint
import subprocess
import sys
from pathlib import Path

from .case import ACCEPTED, REFUSED, WARNED, Case
from .data import Data
from .doors import WORTH_A_LOOK, own_config

ROOT = Path(__file__).resolve().parents[3]
SMALL = ROOT / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py'
# without which mmdet pastes no masks
RESIZE = dict(type='Resize', scale=(192, 192), keep_ratio=True)


def program(door: str, data: Data) -> list[str]:
    """The command of one of `doors.DOORS`; a training takes one step."""
    tools, folder = ROOT / 'tools', data.folder.parent
    if door == 'check':
        return [sys.executable, str(tools / 'check_dataset.py'), str(data.folder)]
    config = _written(data, folder / 'its_config.py') if door == 'train CONFIG' else SMALL
    arguments = ['--data', str(data.folder)] if door == 'train --data' else []
    command = [sys.executable, str(tools / 'train.py'), str(config), *arguments, '--iters', '1', '--workers', '0']
    return [*command, '--work-dir', str(folder / 'run')]


def run_program(door: str, case: Case, data: Data) -> tuple[str, str]:
    """The outcome, and what is wrong with it: another end than is right, or a traceback."""
    done = subprocess.run(program(door, data), capture_output=True, text=True, check=False, timeout=900)
    text = done.stdout + done.stderr
    warned = WORTH_A_LOOK in text or (door == 'check' and '\n0 warnings' not in text)
    outcome = REFUSED if done.returncode else WARNED if warned else ACCEPTED
    right = {'check': case.folder, 'train --data': case.data_option}.get(door) or case.right
    if 'Traceback' in text:
        return outcome, f'a traceback: {text[text.index("Traceback") :]}'
    return outcome, '' if outcome == right else f'{outcome}, not {right}: {text[-2000:]}'


def _written(data: Data, path: Path) -> Path:
    """A file of a config that was written for the data, whose model is small."""
    cfg = own_config(data)
    lines = [f'_base_ = {str(SMALL)!r}', f'data_root = {str(data.folder)!r}']
    for split in ('train', 'val', 'test'):
        own = dict(cfg['train_dataloader' if split == 'train' else 'val_dataloader'].dataset.to_dict(), _delete_=True)
        own['pipeline'].insert(-1, RESIZE)
        lines.append(f'{split}_dataloader = {pprint.pformat(dict(dataset=own))}')
        if split != 'train':
            lines.append(f'{split}_evaluator = {pprint.pformat(dict(cfg.val_evaluator.to_dict(), _delete_=True))}')
    head = dict(num_classes=len(data.classes))
    lines.append(f'model = {pprint.pformat(dict(roi_head=dict(bbox_head=head, mask_head=head)))}')
    path.write_text('\n'.join(lines) + '\n')
    return path

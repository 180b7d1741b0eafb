"""Faults of a long training, made one after another: what happened, and whether it is what must happen.

    python tools/benchmarks/faults.py FOLDER --out tools/benchmarks/results/faults.csv
    python tools/benchmarks/faults.py FOLDER --only killed_while_saving --kills 200

Each is a function below: it starts a small training with train.py, breaks something, and returns what it saw and
whether it was right. FOLDER gets the data and the work-dirs. Exit code 1 if one was not right.
"""

import argparse
import math
import os
import random
import resource
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import gpu_faults  # noqa: F401  both add theirs to the table
import process_faults  # noqa: F401
import torch
from fault_lab import (
    FAULTS,
    INTERVAL,
    STEPS,
    Lab,
    fault,
    finish,
    goes_on,
    losses,
    said,
    same,
    straight,
    wait_for_step,
)
from harness import conditions, write_rows
from mmengine.model import BaseModel
from mmengine.runner import ValLoop

from swin_mmdet.checkpoint.damage import damage
from swin_mmdet.engine.last_checkpoint import last_checkpoint
from swin_mmdet.engine.resuming.train_loops import IterBasedTrainLoop
from swin_mmdet.errors import UserError

TOOLS = Path(__file__).resolve().parents[1]

@fault
def killed_while_saving(lab: Lab, args: argparse.Namespace) -> tuple[str, bool]:
    """SIGKILL at random moments while a checkpoint is written, of which one is kept, and of the steps after it."""
    options = ['--cfg-options', 'default_hooks.checkpoint.interval=1', 'default_hooks.checkpoint.max_keep_ckpts=1']
    generator, unreadable, lost, parts = random.Random(0), 0, 0, 0
    work_dir = lab.new('kill')
    for _ in range(args.kills):
        (id,) = lab.start(work_dir, '--resume', *options)
        end = time.monotonic() + 120
        while not list(work_dir.glob('*.part')) and time.monotonic() < end:
            time.sleep(0.0005)
        # half of them meet the file; the others all that comes later: the pointer, the old file, the next step
        time.sleep(generator.random() * generator.choice((0.08, 0.8)))
        os.kill(id, signal.SIGKILL)
        finish([id])
        parts += len(list(work_dir.glob('*.part')))
        unreadable += sum(damage(path) is not None for path in work_dir.glob('*.pth'))
        try:
            last_checkpoint(work_dir)
        except UserError:
            lost += 1
        if list(work_dir.glob(f'iter_{STEPS - 1}.pth')):
            work_dir = lab.new('kill')
    left = len(list(work_dir.glob('*.part')))
    problem = lab.run(work_dir, '--resume', *options)[0]
    seen = (
        f'{args.kills} kills, {parts} in the middle of a file: {unreadable} unreadable names, {lost} runs lost; '
        f'{left} left-overs before the last start, {len(list(work_dir.glob("*.part")))} after it'
    )
    return seen, not unreadable and not lost and not problem and not list(work_dir.glob('*.part'))


def _each_better_than_the_last() -> None:
    """Evaluations take no time, and find a score that grows."""

    def run(loop: ValLoop) -> dict[str, float]:
        metrics = {'score': float(loop.runner.iter)}
        loop.runner.call_hook('after_val_epoch', metrics=metrics)
        return metrics

    ValLoop.run = run


@fault
def killed_while_saving_the_best(lab: Lab, args: argparse.Namespace) -> tuple[str, bool]:
    """SIGKILL while a better one is written, or takes the place of the one before."""
    options = ['--cfg-options', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.interval=100',
               'default_hooks.checkpoint.save_best=score', 'default_hooks.checkpoint.rule=greater']  # fmt: skip
    generator, without, unreadable, parts = random.Random(1), 0, 0, 0
    for _ in range(args.kills):
        work_dir, end = lab.new('best'), time.monotonic() + 120
        (id,) = lab.start(work_dir, *options, prepare=_each_better_than_the_last)
        while not (list(work_dir.glob('best*.pth')) and list(work_dir.glob('*.part'))) and time.monotonic() < end:
            time.sleep(0.0005)
        time.sleep(generator.random() * 0.1)
        os.kill(id, signal.SIGKILL)
        finish([id])
        parts += len(list(work_dir.glob('*.part')))
        unreadable += sum(damage(path) is not None for path in work_dir.glob('*.pth'))
        without += not list(work_dir.glob('best*.pth'))
    seen = f'{args.kills} kills, {parts} in the middle of a file: {unreadable} unreadable names, {without} without any'
    return seen, not unreadable and not without and parts > 0


def _signalled(lab: Lab, number: signal.Signals, processes: int = 1) -> tuple[str, bool]:
    work_dir = lab.new(number.name)
    ids = lab.start(work_dir, processes=processes)
    wait_for_step(work_dir, 5)
    os.kill(ids[-1], number)
    code, text = finish(ids), said(work_dir)
    line = next((line for line in text.splitlines() if 'stopped after iteration' in line), 'nothing was saved')
    if processes > 1:
        return f'exit {code}; {line.split(" - ")[-1][:80]}', code == 0 and 'saved to' in line
    problem = goes_on(lab, work_dir)
    seen = f'exit {code}; {line.split(" - ")[-1][:44]}; resumed: {problem or same()}'
    return seen, not code and not problem


@fault
def sigterm(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    return _signalled(lab, signal.SIGTERM)


@fault
def sigint(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    return _signalled(lab, signal.SIGINT)


@fault
def sigusr1_as_of_slurm(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    return _signalled(lab, signal.SIGUSR1)


@fault
def sigterm_of_one_of_two_processes(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    return _signalled(lab, signal.SIGTERM, processes=2)


@fault
def a_weight_becomes_nan(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    def poison() -> None:
        real = IterBasedTrainLoop.run_iter

        def run_iter(loop: IterBasedTrainLoop, batch: dict) -> None:
            if loop.iter == 9:
                loop.runner.model.neck.lateral_convs[0].conv.weight.data[0, 0] = float('nan')
            real(loop, batch)

        IterBasedTrainLoop.run_iter = run_iter

    work_dir = lab.new('nan')
    code, text = lab.run(work_dir, prepare=poison)
    line = next((line for line in text.splitlines() if line.startswith('error: training ended')), 'it trained on')
    saved = sorted(path.name for path in work_dir.glob('iter_*.pth'))
    good = 'neck.lateral_convs.0.conv.weight' in line and saved == ['iter_4.pth', 'iter_8.pth']
    told = line.replace(str(lab.data), 'DATA').partition('; the last good')[0]
    return f'exit {code}; {told}; {saved}', good and code == 2


@fault
def one_bad_step(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """A loss that is NaN once."""

    def prepare() -> None:
        real, count = BaseModel.parse_losses, []

        def parse_losses(model: BaseModel, losses: dict) -> tuple:
            loss, values = real(model, losses)
            count.append(1)
            return loss * (math.nan if len(count) == 10 else 1), values

        BaseModel.parse_losses = parse_losses

    code, text = lab.run(work_dir := lab.new('step'), prepare=prepare)
    line = next((line for line in text.splitlines() if 'its step is left out' in line), 'it was applied')
    told = line.replace(str(lab.data), 'DATA').rpartition(' - ')[2]
    return f'exit {code}; {len(losses(work_dir))} steps; {told}', not code and '(1 so far); images: ' in line


@fault
def images_break_while_training(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    data, work_dir = lab.make_data(f'shapes-{time.monotonic_ns()}'), lab.new('images')
    ids = lab.start(work_dir, data=data)
    wait_for_step(work_dir, 3)
    images = sorted((data / 'train2017').glob('*.*'))
    images[0].write_text('no image')
    images[1].write_bytes(b'')
    images[2].unlink()
    images[3].write_bytes(images[3].read_bytes()[:30])
    code = finish(ids)
    listed = (work_dir / 'broken_images.txt').read_text() if (work_dir / 'broken_images.txt').exists() else ''
    reasons = sorted(line.split('\t')[1] for line in listed.splitlines())
    return f'exit {code}; {len(losses(work_dir))} steps; listed: {"; ".join(reasons)}', not code and len(reasons) == 4


def _flip(path: Path, record: str) -> None:
    with zipfile.ZipFile(path) as archive:
        info = max((one for one in archive.infolist() if record in one.filename), key=lambda one: one.file_size)
        content = archive.read(info)
    whole = bytearray(path.read_bytes())
    whole[whole.index(content) + len(content) // 2] ^= 1
    path.write_bytes(whole)


def _poison(path: Path) -> None:
    state = torch.load(path, weights_only=False)
    next(iter(state['state_dict'].values())).view(-1)[0] = math.nan
    torch.save(state, path)


def _zeros(path: Path) -> None:
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(4096) + content[half + 4096 :])


@fault
def damaged_checkpoints(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """The last one, or what names it."""
    source, right, ways = straight(lab), [], 0
    older, last = (f'iter_{STEPS - count * INTERVAL}.pth' for count in (2, 0))
    breaks = {
        'cut': lambda folder: os.truncate(folder / last, 5000),
        '0 bytes': lambda folder: os.truncate(folder / last, 0),
        'bit in a tensor': lambda folder: _flip(folder / last, '/data/'),
        'bit in data.pkl': lambda folder: _flip(folder / last, 'data.pkl'),
        'zeros in the middle': lambda folder: _zeros(folder / last),
        'NaN in a weight': lambda folder: _poison(folder / last),
        'gone': lambda folder: (folder / last).unlink(),
        'pointer of NUL': lambda folder: (folder / 'last_checkpoint').write_bytes(bytes(60)),
        'pointer to an older one': lambda folder: (folder / 'last_checkpoint').write_text(older),
    }
    for name, make in breaks.items():
        folder = lab.new('damage')
        folder.mkdir()
        for path in source.glob('iter_*.pth'):
            (folder / path.name).write_bytes(path.read_bytes())
        (folder / 'last_checkpoint').write_text(str(folder / last))
        make(folder)
        found, lines = last_checkpoint(folder)
        expected = last if name.startswith('pointer') else f'iter_{STEPS - INTERVAL}.pth'
        told = any(f'{last} is passed over' in line for line in lines) or name == 'gone' or 'pointer' in name
        ways += 1
        right += [name] if found.name == expected and told else []
    return f'{len(right)} of {ways} right: {", ".join(right)}', len(right) == ways


@fault
def a_second_training_in_the_same_folder(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    code, text = lab.run(straight(lab))
    work_dir = lab.new('twice')
    # it still lives when the second has come to its start
    ids = lab.start(work_dir, '--iters', 10_000)
    wait_for_step(work_dir, 1)
    live, told = lab.run(work_dir, '--overwrite')
    os.kill(ids[0], signal.SIGKILL)
    finish(ids)
    after = lab.run(work_dir, '--overwrite')[0]
    refused = '--resume' in text and '--overwrite' in text, 'another training runs in' in told
    seen = f'after a finished one: exit {code}; beside a live one: exit {live}; after that was killed: exit {after}'
    return seen, all(refused) and (code, live, after) == (2, 2, 0)


@fault
def files_too_large(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """A limit of the system, as a quota is one: no checkpoint can be written."""
    work_dir = lab.new('limit')
    code, text = lab.run(work_dir, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, 900_000)))
    failed = text.count('could not be written')
    left = len(list(work_dir.glob('*.pt*')))
    return f'exit {code}; {len(losses(work_dir))} steps, {failed} saves failed and told, {left} files left', (
        not code and failed == STEPS // INTERVAL and len(losses(work_dir)) == STEPS and not left
    )


@fault
def an_unwritable_folder(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    said_by = []
    for work_dir in (lab.config, Path('/proc/no-such-run')):
        command = [sys.executable, TOOLS / 'train.py', lab.config, '--data', lab.data, '--work-dir', work_dir]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        said_by.append((done.returncode, done.stderr.strip().splitlines()[-1][:70]))
    return '; '.join(f'exit {code}: {line}' for code, line in said_by), all(code == 2 for code, _ in said_by)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--only', nargs='+', choices=FAULTS, default=list(FAULTS), metavar='NAME')
    parser.add_argument('--kills', type=int, default=20, help='of killed_while_saving and of the best')
    parser.add_argument('--out', type=Path, help='CSV')
    args = parser.parse_args(argv)
    lab, rows = Lab(args.folder.resolve()), []
    # in a fork: a process that has asked for the GPU cannot have forks that do
    with ProcessPoolExecutor(1, get_context('fork')) as other:
        here = other.submit(conditions, device='cuda' if torch.cuda.is_available() else 'cpu').result()
    for name in args.only:
        try:
            seen, right = FAULTS[name](lab, args)
        except Exception as error:
            seen, right = f'{type(error).__name__}: {error}'[:200], False
        rows.append({'fault': name.replace('_', ' '), 'seen': seen.replace(str(lab.folder), 'FOLDER'), 'right': right})
        print(f'{"ok " if right else "NOT"} {rows[-1]["fault"]}: {rows[-1]["seen"]}', flush=True)
        if args.out:
            # after each: all of them take long
            write_rows(args.out, [row | here for row in rows])
    return int(not all(row['right'] for row in rows))


if __name__ == '__main__':
    sys.exit(main())

"""How many small changes to the library do a room's tests notice? A random sample of mutmut's mutants, room by room.

    nice -n 10 python tools/benchmarks/mutants.py engine --sample 80 --out tools/benchmarks/results/mutants.csv

Works on a copy of the tracked files, which stays for `mutmut show NAME` in it. A mutant counts as killed when one of
the tests of its room that run the changed function fails, or runs endlessly; of other rooms' tests few are asked
(BESIDES), so the library as a whole is tested better than this says. mutmut changes bodies of functions, but none that
are decorated other than as class or static methods, and no constants of modules and classes.

Every verdict is written at once, and the order is random: what is cut short by --seconds has tried a random part, and
goes on with the same --folder. With --again it tries the survivors in that folder once more, with the tests of now.
"""

import argparse
import io
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import redirect_stdout
from datetime import date
from pathlib import Path

from harness import version_of
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name('mutants_runner.py')
EQUIVALENT = ROOT / 'tests/mutants/EQUIVALENT.md'
ROOMS = ('ops', 'checkpoint', 'datasets', 'structures', 'detectors', 'engine', 'evaluation')
# tests of what a room has that stand elsewhere: with its users, or with programs that they call in the same process
BESIDES = {
    'structures': (
        *('ops/test_mask_runs.py', 'ops/test_mask_targets.py', 'ops/test_mask_points.py', 'ops/test_pair_costs.py'),
        *('datasets/test_transforms.py', 'detectors/test_prediction.py', 'detectors/test_rpn_head.py'),
        *('detectors/test_roi_heads.py', 'detectors/test_mask_fusion_head.py'),
    ),
    'checkpoint': ('engine/test_pretrained.py', 'reppoints_v2/test_official_names.py'),
    'datasets': (
        *('structures/test_lazy_masks.py', 'tools/test_errors.py', 'tools/test_make_shapes_dataset.py'),
        'tools/test_words.py',
    ),
    'detectors': ('ops/test_pair_costs.py', 'recording/test_recorded_prediction.py'),
    'engine': (
        *('configs/test_everyday.py', 'tools/test_errors.py', 'tools/test_everyday.py', 'tools/test_prepare.py'),
        *('tools/test_trackers.py', 'tools/test_train_options.py', 'tools/test_words.py'),
    ),
    'ops': ('models/test_export.py',),
    'evaluation': ('datasets/test_check_and_loader.py', 'report/test_matching.py', 'structures/test_encoded_masks.py'),
}
# options of pytest: triton's interpreter runs kernels far too slowly for this, and a test that starts a process as
# multiprocessing's `spawn` does would start this program in it
FAST = ['--ignore-glob=*/test_triton*', '--ignore-glob=*/test_residual_branch.py', '-k', 'not triton']
FAST += ['--ignore-glob=*/test_*distributed.py']
FAST += ['-m', 'not slow and not long']
# folders whose functions run with Triton alone
WITH_KERNELS = ('residual_branch',)
KILLED = ('killed', 'timeout', 'segfault', 'suspicious')
NOT_TRIED = 'not checked'
SETTINGS = """
[tool.mutmut]
source_paths = ["swin_mmdet"]
only_mutate = ["swin_mmdet/{room}/*"]
do_not_mutate = ["*/triton_*"]
also_copy = ["configs", "tools", "setup.py", "README.md", ".pytest.ini", ".ruff.toml"]
pytest_add_cli_args_test_selection = {tests}
process_isolation = "forkserver"
timeout_multiplier = 3.0
timeout_constant = 20.0
use_setproctitle = false
track_dependencies = false
use_git_change_detection = false
"""


def main() -> None:
    args = parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix=f'mutants-{args.room}-'))
    begun = folder / 'begun.json'
    if not begun.exists():
        copy_checkout(folder)
        besides = [f'tests/{path}' for path in BESIDES.get(args.room, ())]
        tests = json.dumps([f'tests/{args.room}', *besides, *FAST])
        (folder / 'pyproject.toml').write_text(SETTINGS.format(room=args.room, tests=tests))
        os.chdir(folder)  # whose settings mutmut reads
        population = write_sample(args.room, args.sample, args.seed)
        begun.write_text(json.dumps({'mutants': population, 'seed': args.seed, 'commit': commit()}))
    os.chdir(folder)
    about = json.loads(begun.read_text())
    if args.again:
        copy_checkout(folder, 'tests')
        forget_survivors()
        about['commit'] = commit()
        begun.write_text(json.dumps(about))
    if args.seconds != 0:
        run(folder, args.processes, args.seconds)
    print(f'the copy with all mutants is {folder}')
    statuses = {name: status for name, status in results().items() if status != NOT_TRIED}
    if statuses:
        report(args.room, about, statuses, args.out)


def report(room: str, about: dict, statuses: dict[str, str], out: Path | None) -> None:
    """Print the survivors and the room's row, which is added to the file too."""
    survivors = {name: status for name, status in statuses.items() if status not in KILLED}
    known = EQUIVALENT.read_text() if EQUIVALENT.exists() else ''
    counts = Counter(statuses.values())
    equivalent = 0
    for name, status in survivors.items():
        change = difference(name)
        is_known = change in known
        equivalent += is_known
        print(f'{"equivalent" if is_known else status} {name}\n{change}\n')
    killed, asked = sum(counts[status] for status in KILLED), len(statuses) - equivalent
    low, high = interval(killed, asked)
    row = {
        'room': room, 'mutants': about['mutants'], 'sample': len(statuses), 'seed': about['seed'], 'killed': killed,
        'survived': counts['survived'] - equivalent, 'without a test': counts['no tests'], 'equivalent': equivalent,
        'killed %': round(100 * killed / asked, 1), 'low %': round(100 * low, 1), 'high %': round(100 * high, 1),
        'mutmut': version_of('mutmut'), 'commit': about['commit'], 'date': date.today().isoformat(),
    }  # fmt: skip
    print(', '.join(f'{name} {value}' for name, value in row.items()))
    if out:
        append(out, row)


def absolute(path: str) -> Path:
    return Path(path).resolve()


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('room', choices=ROOMS)
    parser.add_argument('--sample', type=int, default=80, help='how many mutants, of all that there are')
    parser.add_argument('--seed', type=int, default=0, help='of the sample')
    parser.add_argument('--out', type=absolute, help='CSV file to which the row is added')
    parser.add_argument('--folder', type=absolute, help='where to work, or to go on, instead of a new folder')
    parser.add_argument('--again', action='store_true', help='try the survivors in --folder with the tests of now')
    parser.add_argument('--processes', type=int, default=1, help='how many tests and mutants at once')
    parser.add_argument('--seconds', type=float, help='after which no more mutants are tried; 0: only write them')
    return parser.parse_args()


def copy_checkout(folder: Path, part: str = '.') -> None:
    """What git tracks, as it stands now."""
    listed = subprocess.check_output(['git', 'ls-files', '-z', part], cwd=ROOT, text=True)
    for name in filter(None, listed.split('\0')):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def forget_survivors() -> None:
    """Let mutmut try them again, and find out again which tests run what."""
    for path in Path('mutants').rglob('*.meta'):
        found = json.loads(path.read_text())
        codes = found['exit_code_by_key']
        codes |= {name: None for name, code in codes.items() if status_by_exit_code[code] not in KILLED}
        path.write_text(json.dumps(found))
    Path('mutants/mutmut-stats.json').unlink(missing_ok=True)


def write_sample(room: str, size: int, seed: int) -> int:
    """Write so many mutants into the copy in the working folder; how many there are in all.

    mutmut would write every one first, which takes longer than to try the sample.
    """
    from mutmut import __main__ as mutmut  # reads its settings
    from mutmut.mutation import file_mutation

    found, places = {}, []
    for path in sorted(Path('swin_mmdet', room).rglob('*.py')):
        if not path.name.startswith('triton_') and path.parent.name not in WITH_KERNELS:
            module, mutations, *ignored = file_mutation.create_mutations(str(path), path.read_text())
            mutations = [one for one in mutations if one.contained_by_top_level_function]
            places += [(str(path), index) for index in range(len(mutations))]
            found[str(path)] = module, mutations, *ignored
    chosen = set(random.Random(seed).sample(places, min(size, len(places))))

    def create_chosen(path: str, *_) -> tuple:
        module, mutations, *ignored = found[path]
        return module, [one for index, one in enumerate(mutations) if (path, index) in chosen], *ignored

    file_mutation.create_mutations = create_chosen
    set_mutant_under_test('mutant_generation')
    with redirect_stdout(io.StringIO()):
        copy_src_dir()
        copy_also_copy_files()
        mutmut.create_mutants(1)
    return len(places)


def run(folder: Path, processes: int, seconds: float | None) -> None:
    """Find which tests run what, then try the mutants that have not been tried, for so long at most."""
    data = os.environ.get('SWIN_MMDET_DATA', str(ROOT.parent / 'shared' / 'data'))
    environment = os.environ | {'SWIN_MMDET_DATA': data, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': pythonpath(folder)}
    command = [sys.executable, str(RUNNER), str(processes)]
    with open(folder / 'log.txt', 'w') as log:  # drawings of mutmut
        running = subprocess.Popen(command, cwd=folder, env=environment, stdout=log)
    try:
        if running.wait(seconds):
            raise SystemExit(f'{RUNNER.name} failed, see {log.name}')
    except subprocess.TimeoutExpired:
        running.send_signal(signal.SIGINT)
        running.wait()


def pythonpath(folder: Path) -> str:
    """The changed library before whatever else the interpreter was told to find."""
    return os.pathsep.join([str(folder / 'mutants'), *filter(None, [os.environ.get('PYTHONPATH')])])


def results() -> dict[str, str]:
    """Mutant -> what became of it."""
    statuses = {}
    for path in Path('mutants').rglob('*.meta'):
        codes = json.loads(path.read_text())['exit_code_by_key']
        statuses |= {name: status_by_exit_code[code] for name, code in codes.items()}
    return statuses


def difference(name: str) -> str:
    """The lines that differ, as EQUIVALENT.md has them."""
    lines = get_diff_for_mutant(name).splitlines()
    lines = [line for line in lines if line[:1] in ('+', '-') and line[:3] not in ('+++', '---')]
    return '\n'.join(line[0] + ' ' + line[1:].strip() for line in lines)


def interval(killed: int, asked: int) -> tuple[float, float]:
    """Wilson's, of 95 %."""
    z = 1.96
    share, spread = killed / asked, z * math.sqrt(killed * (asked - killed) / asked + z * z / 4) / asked
    middle, scale = share + z * z / (2 * asked), 1 + z * z / asked
    return (middle - spread) / scale, (middle + spread) / scale


def commit() -> str:
    """With a plus where files differ from it."""
    head = subprocess.check_output(['git', 'rev-parse', '--short', 'HEAD'], cwd=ROOT, text=True).strip()
    changed = subprocess.check_output(
        ['git', 'status', '--porcelain', '--', 'swin_mmdet', 'tests'], cwd=ROOT, text=True
    )
    return head + '+' * bool(changed.strip())


def append(path: Path, row: dict) -> None:
    """To a CSV file, whose columns are the row's."""
    lines = path.read_text().splitlines() if path.exists() else [','.join(row)]
    path.write_text('\n'.join([*lines, ','.join(map(str, row.values()))]) + '\n')


if __name__ == '__main__':
    main()

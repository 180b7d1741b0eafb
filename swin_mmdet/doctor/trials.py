"""Runs the steps of `probe.py` in another process, and says of each failure what is wrong and how to mend it."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from swin_mmdet.doctor.cures import CURES
from swin_mmdet.doctor.finding import Finding

STEPS = (
    *('startup_file', 'numpy', 'torch', 'torchvision', 'cv2', 'pycocotools', 'mmengine', 'mmcv', 'mmdet', 'gpu'),
    'kernels',
)
# what a step builds on: where that is broken, the step is not what is to be mended
BUILDS_ON = {
    'torch': ('numpy',),
    'torchvision': ('torch',),
    'cv2': ('numpy',),
    'pycocotools': ('numpy',),
    'mmengine': ('torch', 'cv2'),
    'mmcv': ('mmengine', 'torchvision'),
    'mmdet': ('mmcv', 'pycocotools'),
    'gpu': ('torch',),
    'kernels': ('torch', 'gpu'),
}
NAMES = {'startup_file': 'start-up file', 'cv2': 'opencv', 'gpu': 'GPU'}
SECONDS = 300


@dataclass(frozen=True)
class Trial:
    """What a step of `probe.py` came to: its value, or its error with the traceback."""

    step: str
    value: str = ''
    error: str = ''
    trace: str = ''


def try_all() -> list[Trial]:
    """Every step; where one ends the process, the others run in a new one."""
    done: list[Trial] = []
    while len(done) < len(STEPS):
        found = _process([step for step in STEPS if step not in {trial.step for trial in done}])
        if not found:
            break
        done += found
    return done


def findings(trials: Sequence[Trial], drivers: Sequence[str]) -> list[Finding]:
    """What they say, with the remedy of each failure; `drivers`: GPUs as their driver lists them."""
    broken = {trial.step for trial in trials if trial.error}
    found = []
    for trial in trials:
        causes = [step for step in BUILDS_ON.get(trial.step, ()) if step in broken]
        name = NAMES.get(trial.step, trial.step)
        if not trial.error:
            found.append(Finding(name, trial.value))
        elif causes:
            broken.add(trial.step)
            found.append(Finding(name, f'not tried: {NAMES.get(causes[0], causes[0])} comes first'))
        else:
            finding = _cured(name, trial)
            if not finding.wrong or not finding.is_broken:
                broken.discard(trial.step)
            found.append(finding)
    return [_gpu(finding, drivers, trials) if finding.name == 'GPU' else finding for finding in found]


def _process(steps: Sequence[str]) -> list[Trial]:
    """The first of these steps, up to one that ends the process."""
    code = f'import sys; sys.path[:] = {sys.path!r}\nfrom swin_mmdet.doctor.probe import main; main({list(steps)!r})'
    command = [sys.executable, '-c', code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        output, end, trace = done.stdout, done.returncode, done.stderr
    except subprocess.TimeoutExpired as error:
        output, end, trace = (error.stdout or b'').decode(errors='replace'), None, ''
    begun, trials = '', []
    for line in output.splitlines():
        try:
            answer = json.loads(line)
        except ValueError:
            continue
        if 'value' in answer:
            # what a package prints while it fails tells more than its exception, such as which numpy it wants
            trials.append(Trial(**answer | {'trace': answer['trace'] + trace * bool(answer['error'])}))
            begun = ''
        else:
            begun = answer['step']
    if begun:
        how = f'hangs for {SECONDS} s' if end is None else f'ends its process: {_signal(end)}'
        trials.append(Trial(begun, error=how, trace=trace))
    return trials


def _signal(code: int) -> str:
    if code >= 0:
        return f'exit code {code}'
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f'signal {-code}'


def _cured(name: str, trial: Trial) -> Finding:
    text = f'{trial.error}\n{trial.trace}'
    for cure in CURES:
        match = re.search(cure.sign, text, re.DOTALL) if trial.step in cure.steps else None
        if match:
            words = {key: _distribution(value) for key, value in match.groupdict().items()}
            short = trial.error.strip().splitlines()[0][:200]
            wrong = cure.wrong.format(**words)
            is_said = trial.step == 'startup_file' or not wrong
            wrong = wrong if is_said else f'{wrong} ({short})'
            return Finding(name, 'broken' if wrong and cure.is_broken else 'not active' if wrong else 'none', wrong,
                           cure.remedy.format(**words), cure.is_broken)  # fmt: skip
    return Finding(name, 'broken', trial.error, f'pip install --force-reinstall {name}')


def _distribution(module: str) -> str:
    """What pip calls a module."""
    top = module.partition('.')[0]
    named = {'cv2': 'opencv-python-headless', 'PIL': 'pillow', 'yaml': 'pyyaml', 'mmcv': "'mmcv-lite>=2.0.1,<2.2'"}
    return named.get(top, top)


def _gpu(finding: Finding, drivers: Sequence[str], trials: Sequence[Trial]) -> Finding:
    """With what the driver knows of it: a torch for CPUs alone, or one that sees none."""
    torch = next((trial.value for trial in trials if trial.step == 'torch'), '')
    if not drivers:
        value = finding.value if finding.value != 'none' else 'none: everything runs on the CPU'
        return Finding(finding.name, value, finding.wrong, finding.remedy, finding.is_broken)
    value = '; '.join(drivers)
    if finding.wrong or finding.value != 'none':
        return Finding(finding.name, f'{value} (driver)', finding.wrong, finding.remedy)
    if 'CPUs alone' in torch:
        wrong, remedy = 'torch was built without CUDA', 'pip install --force-reinstall torch torchvision'
    elif torch:
        wrong, remedy = 'the driver sees a GPU, and torch does not', 'unset CUDA_VISIBLE_DEVICES'
    else:
        return Finding(finding.name, value)
    return Finding(finding.name, value, wrong, remedy)

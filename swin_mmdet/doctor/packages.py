"""Installed distributions, without importing any: which stack they are, and what is too old, too new or mixed."""

import platform
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from swin_mmdet.doctor.finding import Finding


@dataclass(frozen=True)
class Part:
    """A module, the distributions that bring it, and the versions that fit: from `least` on, before `limit`."""

    distributions: tuple[str, ...]
    least: str = ''
    limit: str = ''


# the first of each is of MMDetection's own stack; 'onedl-...' are of the maintained forks
STACK = {
    'mmengine': Part(('mmengine', 'mmengine-lite', 'onedl-mmengine'), '0.10.7'),
    'mmcv': Part(('mmcv-lite', 'mmcv', 'mmcv-full', 'onedl-mmcv'), '2.0.1'),
    'mmdet': Part(('mmdet', 'onedl-mmdetection'), '3.3.0', '4'),
}
NEEDED = {
    'torch': Part(('torch',), '2.6'),
    'torchvision': Part(('torchvision',), '0.21'),
    'numpy': Part(('numpy',)),
    'pycocotools': Part(('pycocotools',), '2.0.8'),
    'safetensors': Part(('safetensors',), '0.4'),
    'filelock': Part(('filelock',), '3.12'),
}
# distributions: what is done without them, and the extra of this package that brings them
EXTRAS = {
    'fast evaluator': (('faster-coco-eval',), 'pycocotools evaluates, several times slower', 'eval'),
    'check of pixels': (('simplejpeg',), 'JPEGs that are cut and closed again are not found', 'mmdet'),
    'large annotation files': (('msgspec',), 'they are read in four times the time', 'mmdet'),
    'export': (('onnx', 'onnxscript', 'onnxruntime'), 'no ONNX files', 'export'),
    'trackers': (('tensorboard', 'wandb', 'mlflow'), '', ''),
}
OLDEST_PYTHON = 3, 10
FORK = 'onedl-'
# mmdet 3.3 refuses it; the forks do not
NEWEST_MMCV = '2.2'


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """Versions by distribution, of those that are there."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def package_findings() -> list[Finding]:
    """Python, the needed packages, the stack and what is optional."""
    found = [_python()]
    found += [_needed(name, part) for name, part in NEEDED.items()]
    found += _stack()
    return found + [_extra(name) for name in EXTRAS]


def _python() -> Finding:
    value = f'{platform.python_version()}, {platform.system()} {platform.machine()}, {sys.prefix}'
    if sys.version_info < OLDEST_PYTHON:
        return Finding('python', value, 'older than 3.10', 'python3.12 -m venv .venv && .venv/bin/pip install .')
    return Finding('python', value)


def _needed(name: str, part: Part) -> Finding:
    there = installed(part.distributions)
    if not there:
        return Finding(name, 'not installed', f'{name} is not installed', f'pip install {_wanted(name, part)}')
    ((distribution, number),) = there.items()
    return Finding(name, number, *_age(distribution, number, part))


def _stack() -> list[Finding]:
    there = {module: installed(part.distributions) for module, part in STACK.items()}
    names = [name for of_module in there.values() for name in of_module]
    forks = [name for name in names if name.startswith(FORK)]
    kind = 'onedl' if forks and len(forks) == len(names) else 'mixed' if forks else 'mmdet' if names else 'none'
    text = ', '.join(f'{name} {number}' for of_module in there.values() for name, number in of_module.items())
    found = [Finding('stack', f'{kind}: {text}' if text else 'none of mmdet and its forks', *_mixture(there, kind))]
    for module, of_module in there.items():
        part = STACK[module]
        if not of_module:
            name = next(name for name in part.distributions if name.startswith(FORK) == (kind == 'onedl'))
            found.append(
                Finding(module, 'not installed', f'{module} is not installed', f'pip install {_wanted(name, part)}')
            )
            continue
        for name, number in of_module.items():
            wrong, remedy = _age(name, number, part)
            if not name.startswith(FORK) and wrong:
                found.append(Finding(module, number, wrong, remedy))
    mmcv = next(iter(there['mmcv'].items()), None)
    if 'mmdet' in there['mmdet'] and mmcv and _numbers(mmcv[1]) >= _numbers(NEWEST_MMCV) and kind != 'mixed':
        wrong = f'mmdet {there["mmdet"]["mmdet"]} refuses {mmcv[0]} {mmcv[1]}: it takes those before {NEWEST_MMCV}'
        others = f'pip uninstall -y {mmcv[0]} && ' if mmcv[0] != 'mmcv-lite' else ''
        found.append(Finding('mmcv', mmcv[1], wrong, f"{others}pip install 'mmcv-lite>=2.0.1,<{NEWEST_MMCV}'"))
    return found


def _mixture(there: dict[str, dict[str, str]], kind: str) -> tuple[str, str]:
    """What is wrong with distributions that bring the same modules, or of both stacks, and the remedy."""
    doubles = [name for of_module in there.values() if len(of_module) > 1 for name in of_module]
    if kind != 'mixed' and not doubles:
        return '', ''
    every = [name for of_module in there.values() for name in of_module]
    if kind == 'mixed':
        wrong = 'packages of mmdet and of its forks (onedl) are mixed, which write over each other'
        keep = ["'mmcv-lite<2.2'", 'mmengine', 'mmdet']
    else:
        wrong = f'{" and ".join(doubles)} bring the same files'
        every = doubles
        keep = [_kept(of_module) for of_module in there.values() if len(of_module) > 1]
    return wrong, f'pip uninstall -y {" ".join(every)} && pip install {" ".join(keep)}'


def _kept(names: dict[str, str]) -> str:
    """Of distributions with the same files: the one without compiled parts, in the version that is there."""
    name = min(names, key=lambda name: ('lite' not in name, name))
    return f'{name}=={names[name]}'


def _extra(name: str) -> Finding:
    wanted, without, extra = EXTRAS[name]
    there = installed(wanted)
    value = ', '.join(f'{name} {number}' for name, number in there.items()) or 'not installed'
    missing = [name for name in wanted if name not in there]
    if missing and extra:
        wrong = f'{", ".join(missing)} {"is" if len(missing) == 1 else "are"} not installed: {without}'
        return Finding(name, value, wrong, f'pip install {" ".join(missing)}', is_broken=False)
    return Finding(name, value)


def _wanted(name: str, part: Part) -> str:
    limits = [f'>={part.least}'] * bool(part.least) + [f'<{part.limit}'] * bool(part.limit)
    limits += [f'<{NEWEST_MMCV}'] * (name == 'mmcv-lite')
    return f"'{name}{','.join(limits)}'" if limits and not name.startswith(FORK) else name


def _age(distribution: str, number: str, part: Part) -> tuple[str, str]:
    """What is wrong with a version, and the remedy; '' if it fits."""
    old = part.least and _numbers(number) < _numbers(part.least)
    new = part.limit and _numbers(number) >= _numbers(part.limit)
    if not old and not new:
        return '', ''
    wrong = f'{distribution} {number} is too {"old" if old else "new"}'
    return wrong, f'pip install --upgrade {_wanted(distribution, part)}'


def _numbers(text: str) -> tuple[int, ...]:
    """'2.14.1+cu130' as (2, 14, 1)."""
    found = re.match(r'\d+(\.\d+)*', text)
    return tuple(map(int, found[0].split('.'))) if found else ()

"""A traced program into a file, which takes its name when the proof of what is in it holds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn
from torch.export import ExportedProgram

from swin_mmdet.errors import UserError
from swin_mmdet.export.targets import Target

# what there is to keep of a file at a path, which a runtime can load
Report = Callable[[Path], list]
# of the weights: the file, its copy that is proven, and what an exporter writes meanwhile
TIMES_WEIGHTS = 3


def check_folder(folder: Path) -> None:
    """UserError where no file can be written into a folder."""
    try:
        with TemporaryDirectory(dir=folder):
            pass
    except OSError as error:
        raise UserError(f'nothing can be written into {folder}: {error.strerror}') from error


def check_room(folder: Path, model: nn.Module) -> None:
    """UserError where a folder's disk has no room for the files of an export of this model."""
    weights = sum(one.numel() * one.element_size() for one in model.state_dict().values())
    needed, free = TIMES_WEIGHTS * weights, shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(f'the disk of {folder} has {free / 1e6:.0f} MB left, and an export needs {needed / 1e6:.0f} MB')


def write_proven(
    traced: ExportedProgram,
    out: Path,
    target: Target,
    known: dict,
    proof: Report,
    quantise: Callable[[Path, Path], None] | None = None,
    loss: Report | None = None,
) -> None:
    """Write a traced program, of which this is known, to `out`.

    Args:
        proof: raises where the file is not to be kept.
        quantise: makes of the file one of 8 bits, of which `loss` says what that costs.
    """
    with TemporaryDirectory(dir=out.parent) as folder:
        bare = Path(folder, 'bare').with_suffix(target.suffix)
        target.write(traced, known['outputs'], bare)
        known = known | {'proof': proof(_annotated(bare, target, known))}
        if quantise is not None and loss is not None:
            quantised = bare.with_stem('quantised')
            quantise(bare, quantised)
            bare, known['int8'] = quantised, loss(_annotated(quantised, target, known))
        target.annotate(bare, json.dumps(known))
        # what lies beside it first: a name without all of it is not left
        for one, other in reversed(list(zip(target.files(bare), target.files(out), strict=True))):
            one.replace(other)


def _annotated(bare: Path, target: Target, known: dict) -> Path:
    """A copy that a runtime loads."""
    copy = bare.with_stem(f'{bare.stem}-copy')
    for one, other in zip(target.files(bare), target.files(copy), strict=True):
        shutil.copyfile(one, other)
    target.annotate(copy, json.dumps(known))
    return copy


def write_runtime(out: Path, target: Target) -> list[Path]:
    """Put the runtime beside an exported file; it is one file, and another where torch may be without torchvision."""
    names = {'runtime.py': 'swin_mmdet_runtime.py'}
    if target.suffix == '.pt2':
        names['torch_ops.py'] = 'swin_mmdet_torch_ops.py'
    return [
        Path(shutil.copyfile(Path(__file__).with_name(source), out.with_name(name))) for source, name in names.items()
    ]

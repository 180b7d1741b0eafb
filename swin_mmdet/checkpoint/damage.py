"""Whether a checkpoint's bytes are those that were written, and its weights numbers: what a run should not go on from.

PyTorch's archive has a checksum of every record, which `torch.load` does not look at.
"""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

# what a training goes on from
TRAINED = ('state_dict', 'ema_state_dict', 'optimizer')


def damage(path: str | Path) -> str | None:
    """What is wrong with the bytes of a file of `torch.save`, by its own checksums; None for a whole one.

    It reads the file once, about a second for a GiB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        size = Path(path).stat().st_size if Path(path).is_file() else None
        return 'it is gone' if size is None else f'it is cut off or damaged ({size} bytes; {error})'
    return f'its record {broken} does not fit its checksum' if broken else None


def non_finite(checkpoint: Mapping) -> str | None:
    """The name of the first tensor, of weights or of the optimizer's state, that holds NaN or infinity."""
    for part in TRAINED:
        for name, value in tensors(checkpoint.get(part), part):
            if value.is_floating_point() and not torch.isfinite(value).all():
                return name
    return None


def tensors(node: object, name: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor in nested dicts and lists, with a name that says where it is."""
    if isinstance(node, Tensor):
        yield name, node
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from tensors(value, f'{name}.{key}')
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from tensors(value, f'{name}.{index}')

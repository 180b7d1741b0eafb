"""From a path, a URL or a dict to a flat state dict."""

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor

from swin_mmdet.checkpoint.rename import StateDict

# where the writers of `formats.py` keep their weights
WRAPPERS = ('state_dict', 'model')


def read_state_dict(source: str | Path | Mapping) -> StateDict:
    """The tensors of a checkpoint by key, on the CPU. Nothing in the file is executed (`weights_only`).

    Args:
        source: a file, anything else that mmengine can read (`https://`, `torchvision://`, ...), or a loaded dict.

    Raises:
        FileNotFoundError: a local path where nothing is.
        ValueError: a file that PyTorch cannot read safely, or one without tensors.
    """
    checkpoint = source if isinstance(source, Mapping) else _read(str(source))
    for wrapper in WRAPPERS:
        if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    tensors = {}
    if isinstance(checkpoint, Mapping):
        tensors = {key: value for key, value in checkpoint.items() if isinstance(value, Tensor)}
    if not tensors:
        what = 'the dict' if isinstance(source, Mapping) else str(source)
        raise ValueError(f'{what} holds no weights: expected tensors by key, at the top or under one of {WRAPPERS}')
    return tensors


def _read(source: str) -> object:
    is_local = '://' not in source
    if is_local and not Path(source).is_file():
        raise FileNotFoundError(f'checkpoint {source!r} does not exist; give the path of a file or a URL')
    try:
        if is_local:
            return _load_local(source)
        return CheckpointLoader.load_checkpoint(source, map_location='cpu', logger='silent')
    except (UnpicklingError, EOFError, RuntimeError) as error:
        first_sentence = re.split(r'\.\s|\n', str(error).strip())[0]
        raise ValueError(
            f'checkpoint {source!r} cannot be read: it is truncated, not a PyTorch file, or holds objects other than '
            f'weights ({type(error).__name__}: {first_sentence}). Download it again, or save only its state_dict.'
        ) from error


def _load_local(path: str) -> object:
    try:
        # mapped, not copied: a large file costs the pages that are read, once
        return torch.load(path, map_location='cpu', weights_only=True, mmap=True)
    except RuntimeError as error:
        if 'mmap can only be used' not in str(error):
            raise
    # files of torch < 1.6 are no zip archives and cannot be mapped
    return torch.load(path, map_location='cpu', weights_only=True)

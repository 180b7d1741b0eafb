"""Converted weights into a file for another program, and what is in it read again."""

import os
from pathlib import Path

import torch

from swin_mmdet.checkpoint.convert import Converted, different_weights
from swin_mmdet.checkpoint.files import CheckpointFile, read_checkpoint
from swin_mmdet.checkpoint.translate import CanonicalWeights, to_canonical


def write_checkpoint(target: str, file: CheckpointFile, converted: Converted) -> None:
    """Write the file as a whole or not at all."""
    # contiguous and apart: safetensors refuses views of one storage, and a view would save all of it
    state_dict = {
        key: value.clone(memory_format=torch.contiguous_format) for key, value in converted.state_dict.items()
    }
    partial = Path(f'{target}.partial')
    try:
        if target.endswith('.safetensors'):
            from safetensors.torch import save_file

            save_file(state_dict, partial, metadata={'format': 'pt'})
        else:
            classes = file.meta.get('classes')
            named = tuple(classes) if isinstance(classes, list | tuple) else ()
            meta = {'dataset_meta': {'classes': named}} if named else {}
            torch.save({converted.wrapper: state_dict, 'meta': meta} if converted.wrapper else state_dict, partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def check_written(target: str, found: CanonicalWeights) -> None:
    """Read the file again and compare every weight of the backbone, so that a fault here is never found in training."""
    different = different_weights(found, to_canonical(read_checkpoint(target).state_dict))
    if different:
        raise RuntimeError(f'{target} reads back with other weights: {different[:5]}')

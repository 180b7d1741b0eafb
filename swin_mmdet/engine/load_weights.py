"""Weights of any known format into the detector of a config."""

from pathlib import Path

from mmengine.runner import load_state_dict
from torch import nn

from swin_mmdet.checkpoint import CheckpointFile, has_swin_backbone, load_detector_weights, read_checkpoint
from swin_mmdet.config.files import existing_weights
from swin_mmdet.errors import CheckpointError


def read_weights(path: str, what: str) -> CheckpointFile:
    """The weights in a file or at a URL.

    Raises:
        UserError: why there are none; `what` is what the user knows the file by.
    """
    return read_checkpoint(existing_weights(path, what))


def load_weights(model: nn.Module, source: str | Path | CheckpointFile, strict: bool) -> None:
    """Load a file, or what was read from it, into a detector.

    Under `strict` every weight must fit, else heads of other classes may differ.

    Raises:
        CheckpointError: the file cannot be read, or does not fit.
    """
    file = read_checkpoint(source)
    try:
        if has_swin_backbone(model):
            load_detector_weights(model, file, strict)
        else:
            load_state_dict(model, file.state_dict, strict)
    except (ValueError, RuntimeError) as error:
        reason = error.reason if isinstance(error, CheckpointError) else error
        raise CheckpointError(file.source, f'it does not fit the model of this config: {reason}') from error

"""Weights of any known format into a Swin backbone, strictly and with a report."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch import Tensor, nn

from swin_mmdet.checkpoint.architecture import describe_architecture
from swin_mmdet.checkpoint.files import read_state_dict
from swin_mmdet.checkpoint.formats import to_canonical
from swin_mmdet.checkpoint.report import LoadReport, shorten
from swin_mmdet.ops.relative_position import resize_bias_table, window_size_of_table

# a classifier has no output norms, and the absolute embedding is optional: these may keep their initial values
MAY_BE_MISSING = re.compile(r'^(norm\d+\.(weight|bias)|absolute_pos_embed)$')
STAGE = re.compile(r'^(?:stages\.|norm)(\d+)\.')


def load_backbone_weights(model: nn.Module, source: str | Path | Mapping, strict: bool = True) -> LoadReport:
    """Load a checkpoint into a backbone with the canonical layout; the model is unchanged when this raises.

    Bias tables of another window and absolute embeddings of another size are resized (bicubic, as the official
    loader); what the model does not build (stages after its last output, the classifier) is dropped with a reason.

    Args:
        model: a `SwinTransformer`.
        source: see `swin_mmdet.checkpoint.files.read_state_dict`.
        strict: whether less than everything the model needs is an error; the output norms and the absolute position
            embedding may be missing either way.

    Raises:
        FileNotFoundError, ValueError: an unreadable source, no or an ambiguous format, another architecture, and
            under `strict` missing weights; each names the source and the keys.
    """
    name = 'the state dict' if isinstance(source, Mapping) else str(source)
    try:
        canonical, dropped, detection = to_canonical(read_state_dict(source))
    except ValueError as error:
        raise ValueError(str(error) if name in str(error) else f'{name}: {error}') from error
    report = LoadReport(name, detection.format.name, detection.reason, dropped=dropped)

    wanted = model.state_dict()
    values: dict[str, Tensor] = {}
    misfits: list[str] = []
    last_stage = max(int(match[1]) for key in wanted if (match := STAGE.match(key)))
    for key, value in canonical.items():
        stage = STAGE.match(key)
        if key not in wanted:
            if stage and (int(stage[1]) > last_stage or f'stages.{last_stage}.downsample' in key):
                report.dropped[key] = f'the model ends with stage {last_stage}'
            elif stage and key.startswith('norm'):
                report.dropped[key] = f'stage {stage[1]} is no output of the model'
            else:
                report.unexpected.append(key)
            continue
        target = wanted[key]
        if value.shape == target.shape:
            values[key] = value
            report.loaded.append(key)
            continue
        resized = _resize(key, value, target)
        if resized is None:
            misfits.append(f'{key} is {list(value.shape)} in the file, {list(target.shape)} in the model')
        else:
            values[key], report.resized[key] = resized
    if misfits:
        raise ValueError(
            f'{name} is of another architecture. File: {describe_architecture(canonical)}; model: '
            f'{describe_architecture(wanted)}. {shorten(misfits, 3)}'
        )
    report.missing = [key for key in wanted if key not in values]
    needed = [key for key in report.missing if not MAY_BE_MISSING.match(key)]
    if strict and needed:
        raise ValueError(
            f'{name} ({report.format}) lacks {len(needed)} of the {len(wanted)} weights of the model: '
            f'{shorten(needed)}. File: {describe_architecture(canonical)}; model: {describe_architecture(wanted)}'
        )
    if not values:
        raise ValueError(f'{name} ({report.format}) has no weight that the model has')

    with torch.no_grad():
        for key, value in values.items():
            wanted[key].copy_(value)
    print_log(report.summary(), 'current')
    return report


def _resize(key: str, value: Tensor, target: Tensor) -> tuple[Tensor, str] | None:
    """The value in the target's size with a word on what was done, or None where sizes must agree."""
    if key.endswith('relative_position_bias_table') and value.dim() == 2 and value.shape[1] == target.shape[1]:
        old, new = window_size_of_table(value), window_size_of_table(target)
        return resize_bias_table(value, new), f'window {old} to {new}, bicubic'
    if key == 'absolute_pos_embed' and value.dim() == 4 and value.shape[1] == target.shape[1]:
        size = tuple(target.shape[2:])
        resized = F.interpolate(value.float(), size=size, mode='bicubic').to(value.dtype)
        return resized, f'{tuple(value.shape[2:])} to {size} tokens, bicubic'
    return None

"""Weights of any known format into a Swin backbone, strictly and with a report."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from swin_mmdet.checkpoint.architecture import describe_architecture
from swin_mmdet.checkpoint.files import read_checkpoint
from swin_mmdet.checkpoint.layout import StateDict
from swin_mmdet.checkpoint.pretrained_window import check_pretrained_windows, pretrained_windows
from swin_mmdet.checkpoint.report import LoadReport, shorten
from swin_mmdet.checkpoint.resize import RESIZE_MODES, resize_weight
from swin_mmdet.checkpoint.translate import CanonicalWeights, to_canonical
from swin_mmdet.errors import naming_checkpoint

# a classifier has no output norms, and the absolute embedding is optional: these may keep their initial values
MAY_BE_MISSING = re.compile(r'^(norm\d+\.(weight|bias)|absolute_pos_embed)$')
CLASSIFIER = re.compile(r'^(norm|head)\.(weight|bias)$')
STAGE = re.compile(r'^(?:stages\.|norm)(\d+)\.')


def load_backbone_weights(
    model: nn.Module,
    source: str | Path | Mapping,
    strict: bool = True,
    resize: str = 'bicubic',
    prefix: str | None = None,
) -> LoadReport:
    """Load a checkpoint into a backbone with the canonical layout; the model is unchanged when this raises.

    Bias tables of another window, absolute embeddings of another size and the first convolution for another number of
    input channels are fitted and reported; what the model does not build (stages after its last output, the
    classifier) is dropped with a reason.

    Args:
        model: a `SwinTransformer` or `SwinTransformerV2`.
        source: see `swin_mmdet.checkpoint.files.read_checkpoint`.
        strict: whether less than everything the model needs is an error; the output norms and the absolute position
            embedding may be missing either way.
        resize: of bias tables, 'bicubic' as the official loader or 'geometric' as SimMIM's.
        prefix: what the backbone's keys start with; only needed where a file holds several backbones.

    Raises:
        FileNotFoundError, CheckpointError: an unreadable source, no or an ambiguous format, another architecture or
            `pretrained_window_size`, and under `strict` missing weights; each names the source and the keys.
    """
    name = 'the state dict' if isinstance(source, Mapping) else str(source)
    with naming_checkpoint(name):
        file = read_checkpoint(source)
        found = to_canonical(file.state_dict, prefix)
        report = new_report(name, found, file.weights)
        report.dropped |= dict.fromkeys(found.rest, 'not in the backbone')
        wanted = model.state_dict()
        values = fit_backbone(found, wanted, dict(model.named_buffers()), report, strict, resize)
    copy_into(wanted, values)
    print_log(report.summary(), 'current')
    return report


def new_report(name: str, found: CanonicalWeights, weights: str = '') -> LoadReport:
    """A report that knows where the weights come from and what was left out on reading."""
    detection = found.detection
    return LoadReport(
        source=f'{name} ({weights})' if weights else name,
        format=detection.format.name,
        version=detection.version,
        reason=detection.reason,
        dropped=dict(found.dropped),
    )


def fit_backbone(
    found: CanonicalWeights,
    wanted: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    report: LoadReport,
    strict: bool,
    resize: str,
) -> StateDict:
    """The values for a backbone's canonical state dict `wanted`, each in its shape; the report is filled in.

    `buffers` are the backbone's, by canonical key: they say the window that a SwinV2 reads its position MLP for.

    Raises:
        ValueError: another architecture or `pretrained_window_size`, values that are not finite, and under `strict`
            missing weights.
    """
    if resize not in RESIZE_MODES:
        raise ValueError(f'resize={resize!r} must be one of {RESIZE_MODES}')
    architectures = f'File: {describe_architecture(found.backbone)}; model: {describe_architecture(wanted)}'
    values: StateDict = {}
    misfits: list[str] = []
    last_stage = max(int(match[1]) for key in wanted if (match := STAGE.match(key)))
    for key, value in found.backbone.items():
        if key not in wanted:
            reason = _why_not_wanted(key, last_stage)
            if reason is None:
                report.unexpected.append(key)
            else:
                report.dropped[key] = reason
            continue
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ValueError(f'{key} holds values that are not finite: the training that wrote it had diverged')
        shape = wanted[key].shape
        if value.shape == shape:
            values[key] = value
            report.loaded.append(key)
            continue
        fitted = resize_weight(key, value, shape, resize)
        if fitted is None:
            misfits.append(f'{key} is {list(value.shape)} in the file, {list(shape)} in the model')
        else:
            values[key], report.resized[key] = fitted
    if misfits:
        raise ValueError(f'it is of another architecture. {architectures}. {shorten(misfits, 3)}')
    report.missing += [key for key in wanted if key not in values]
    needed = [key for key in report.missing if not MAY_BE_MISSING.match(key)]
    if strict and needed:
        unexpected = f' Not in the model: {shorten(report.unexpected)}.' if report.unexpected else ''
        raise ValueError(
            f'the {report.format} weights lack {len(needed)} of the {len(wanted)} that the model needs: '
            f'{shorten(needed)}.{unexpected} {architectures}'
        )
    if not values:
        raise ValueError(f'the {report.format} weights have none that the model has. {architectures}')
    check_pretrained_windows(found.pretrained_windows, pretrained_windows(buffers))
    return values


def copy_into(wanted: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Overwrite a model's tensors, one at a time: a memory-mapped file is never in memory as a whole."""
    with torch.no_grad():
        for key, value in values.items():
            wanted[key].copy_(value)


def _why_not_wanted(key: str, last_stage: int) -> str | None:
    """Why a model does without this canonical key; None for a key that it should know."""
    if CLASSIFIER.match(key):
        return 'part of the classifier'
    if key == 'absolute_pos_embed':
        return None
    stage = STAGE.match(key)
    if stage is None:
        return None
    if int(stage[1]) > last_stage or key.startswith(f'stages.{last_stage}.downsample.'):
        return f'the model ends with stage {last_stage}'
    return f'stage {stage[1]} is no output of the model' if key.startswith('norm') else None

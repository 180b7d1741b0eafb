"""Whole detectors: the backbone as everywhere, and the heads beside it, of mmdet 2.x or 3.x."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from swin_mmdet.checkpoint.files import CheckpointFile, read_checkpoint
from swin_mmdet.checkpoint.formats import Detection, detect_format
from swin_mmdet.checkpoint.from_mmdet2_heads import to_mmdet3_heads
from swin_mmdet.checkpoint.layout import StateDict
from swin_mmdet.checkpoint.load import copy_into, fit_backbone, new_report
from swin_mmdet.checkpoint.report import LoadReport, shorten
from swin_mmdet.checkpoint.several_backbones import backbones_of, detectors_of, fits_as_it_is, match_backbones
from swin_mmdet.checkpoint.translate import CanonicalWeights, to_canonical
from swin_mmdet.errors import naming_checkpoint

BACKBONE = 'backbone.'


def load_detector_weights(
    model: nn.Module,
    source: str | Path | Mapping | CheckpointFile,
    strict: bool = True,
    resize: str = 'bicubic',
    prefix: str | None = None,
) -> LoadReport:
    """Load a checkpoint into a detector with a Swin backbone, or several; the model is unchanged when this raises.

    The backbone takes any format and must be complete. Where a model has several (student and teacher, two streams),
    each takes its own if the file has them all, else all take the one that the file has, with its heads. Heads are
    taken from detectors of mmdet 2.x (the official detection code) and 3.x.

    Args:
        model: an mmdet detector, or a model of several, its backbones ours or mmdet's own Swin.
        source: see `swin_mmdet.checkpoint.files.read_checkpoint`.
        strict: whether heads that are missing, unexpected or of another shape are an error. Without it they are
            reported, as fine-tuning on other classes wants it.
        resize, prefix: see `load_backbone_weights`.

    Raises:
        FileNotFoundError, CheckpointError: as `load_backbone_weights`, and under `strict` heads of another model.
    """
    name = 'the state dict' if isinstance(source, Mapping) else getattr(source, 'source', str(source))
    wanted = model.state_dict()
    with naming_checkpoint(name):
        file = read_checkpoint(source)
        buffers = dict(model.named_buffers())
        places = backbones_of(wanted) or [detect_format(wanted)]
        if len(places) > 1 and prefix is None and fits_as_it_is(file.state_dict, wanted):
            found = to_canonical(file.state_dict, places[0].prefix)
            report = new_report(name, found, file.weights)
            values = {key: file.state_dict[key] for key in wanted}
            report.loaded += values
            report.unexpected += [key for key in file.state_dict if key not in wanted]
            if strict:
                _check_heads(report, wanted)
        else:
            matched = match_backbones(file.state_dict, places, prefix)
            report = new_report(name, next(iter(matched.values())), file.weights)
            values = {}
            detectors = detectors_of(places)
            for outer, own in detectors.items():
                inner = tuple(other for other in detectors if other != outer and other.startswith(outer))
                part = {key: x for key, x in wanted.items() if key.startswith(outer) and not key.startswith(inner)}
                values |= _fit_detector(outer, own, matched, part, buffers, report, strict, resize)
            report.missing += [key for key in wanted if not key.startswith(tuple(detectors))]
    copy_into(wanted, values)
    print_log(report.summary(), 'current')
    return report


def _fit_detector(
    outer: str,
    places: Sequence[Detection],
    found: Mapping[str, CanonicalWeights],
    wanted: Mapping[str, Tensor],
    buffers: Mapping[str, Tensor],
    total: LoadReport,
    strict: bool,
    resize: str,
) -> StateDict:
    """The values for the weights `wanted` of one detector, whose keys begin with `outer`; the report is added to."""
    values: StateDict = {}
    report = LoadReport(total.source, total.format, total.version, total.reason)
    try:
        for place in places:
            layout, prefix = place.format.layout, place.prefix
            own, own_buffers = (
                {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
                for tensors in (wanted, buffers)
            )
            fitted = fit_backbone(found[prefix], layout.read(own)[0], own_buffers, report, strict=True, resize=resize)
            values |= {prefix + key: value for key, value in layout.write(fitted).items()}
        backbones = tuple(place.prefix for place in places)
        heads = {key.removeprefix(outer): x for key, x in wanted.items() if not key.startswith(backbones)}
        fitted = _fit_heads(found[backbones[0]], heads, report)
        values |= {outer + key: value for key, value in fitted.items()}
        if strict:
            _check_heads(report, heads)
    except ValueError as error:
        raise ValueError(f'for {outer!r}: {error}' if outer else str(error)) from error
    total.add(report)
    return values


def has_swin_backbone(model: nn.Module) -> bool:
    """Whether `load_detector_weights` knows a backbone in this model."""
    return bool(backbones_of(model.state_dict()))


def detector_prefix(backbone_prefix: str) -> str | None:
    """What stands before every key of the detector around a backbone; None where it is no mmdet detector's."""
    outer = backbone_prefix.removesuffix(BACKBONE)
    return outer if outer != backbone_prefix else None


def heads_of(found: CanonicalWeights) -> tuple[StateDict, dict[str, str]]:
    """The weights beside the backbone under mmdet 3.x's keys, and the keys of the file that are none, with reasons."""
    outer = detector_prefix(found.detection.prefix)
    if outer is None:
        return {}, dict.fromkeys(found.rest, 'not in the backbone, and not of an mmdet detector')
    heads = {key.removeprefix(outer): value for key, value in found.rest.items() if key.startswith(outer)}
    foreign = {key: f'outside the detector {outer!r}' for key in found.rest if not key.startswith(outer)}
    heads, dropped = to_mmdet3_heads(heads)
    return heads, foreign | dropped


def _fit_heads(found: CanonicalWeights, wanted: Mapping[str, Tensor], report: LoadReport) -> StateDict:
    heads, dropped = heads_of(found)
    report.dropped |= dropped
    values: StateDict = {}
    for key, value in heads.items():
        if key not in wanted:
            report.unexpected.append(key)
        elif value.shape != wanted[key].shape:
            report.misfit[key] = f'{list(value.shape)} in the file, {list(wanted[key].shape)} in the model'
        else:
            values[key] = value
            report.loaded.append(key)
    report.missing += [key for key in wanted if key not in heads]
    return values


def _check_heads(report: LoadReport, wanted: Mapping[str, Tensor]) -> None:
    faults = [f'{key} is {why}' for key, why in report.misfit.items()]
    faults += [f'{key} is missing' for key in report.missing if key in wanted]
    faults += [f'{key} is not in the model' for key in report.unexpected]
    if faults:
        raise ValueError(
            f'it is of another model than this config: {len(faults)} weights of the heads differ. {shorten(faults, 3)}'
        )

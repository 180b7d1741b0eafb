"""A detector into a file that runs without it, and the proof that it finds the same."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from mmdet.models.detectors.base import BaseDetector
from mmengine.config import Config
from torch import nn
from torch.export import ExportedProgram

from swin_mmdet.checkpoint import load_backbone_weights
from swin_mmdet.engine.inference import load_detector
from swin_mmdet.engine.load_weights import read_weights
from swin_mmdet.errors import UserError
from swin_mmdet.export.about import about, about_any, preprocessing_of
from swin_mmdet.export.backbone import BackboneProgram, MapDifference, check_maps, prove_maps
from swin_mmdet.export.families import family_of, why_never
from swin_mmdet.export.files import check_folder, check_room, write_proven, write_runtime
from swin_mmdet.export.options import ROOM, ExportOptions
from swin_mmdet.export.pasted import Pasted
from swin_mmdet.export.pictures import batches, given, images_in
from swin_mmdet.export.program import DIVISOR, LEAST, Program
from swin_mmdet.export.proof import LIMITS, LOOSE_LIMITS, WIDE_LIMITS, Difference, Limits, check, prove
from swin_mmdet.export.quantised import quantise
from swin_mmdet.export.runtime import Backbone, Batch, Detector
from swin_mmdet.export.targets import Target, target_of
from swin_mmdet.export.trace import trace
from swin_mmdet.registry import MODELS


def export_checkpoint(
    cfg: Config, checkpoint: str, out: Path, options: ExportOptions, *, backbone: bool = False, runtime: bool = False
) -> Iterator[str]:
    """`export_detector` of a file of weights, or `export_backbone`, and what there is to say meanwhile.

    With `runtime`, what runs the file is written beside it.
    """
    # without the weights, which may take long to read
    check_options(cfg, out, options, backbone=backbone)
    if backbone:
        part = MODELS.build(cfg.model.backbone | dict(init_cfg=None))
        yield load_backbone_weights(part, checkpoint).summary()
        part.to(options.device)
        yield f'{type(part).__name__} of {Path(checkpoint).name}: tracing, which takes some minutes'
        differences: Sequence[object] = export_backbone(part, cfg, out, options, checkpoint=checkpoint)
        yield f"{out} has the backbone's maps:"
    else:
        model = load_detector(cfg, read_weights(checkpoint, 'checkpoint'), options.device)
        check_model(model, options)
        yield f'{type(model).__name__} of {Path(checkpoint).name}: tracing, which takes some minutes'
        classes = model.dataset_meta['classes']
        differences = export_detector(model, cfg, out, options, classes=classes, checkpoint=checkpoint)
        yield f'{out} finds what the detector finds (limits: {limits_of(options)}):'
    yield from (f'  {one}' for one in differences)
    if options.int8 is not None:
        yield 'that was before numbers became of 8 bits; what the file itself finds beside the detector:'
        yield from (f'  {one}' for one in Detector(out).about['int8'])
    if runtime:
        written = write_runtime(out, target_of(options.to))
        yield f'beside it: {", ".join(path.name for path in written)}'


def check_options(cfg: Config, out: Path, options: ExportOptions, *, backbone: bool = False) -> Target:
    """The kind of file that there will be.

    Raises:
        UserError: something of the config or the options cannot be exported, or a package is missing.
    """
    target = target_of(options.to)
    if out.suffix != target.suffix:
        raise UserError(f'{out}: the name of a file --to {target.name} ends in {target.suffix}')
    if not out.parent.is_dir():
        raise UserError(f'no folder {out.parent} for {out.name}')
    if out.is_dir():
        raise UserError(f'{out} is a folder; give the name of a file')
    check_folder(out.parent)
    target.check()
    if options.device == 'cuda' and not torch.cuda.is_available():
        raise UserError('--device cuda: PyTorch finds no GPU here, and the file is proven on one')
    if backbone and (options.max_detections or options.score_thr or options.paste_masks or options.int8):
        raise UserError('--backbone exports maps: they have no detections, no masks and no AP')
    if backbone and options.images:
        raise UserError('--backbone is proven on drawn images: leave --images out')
    if backbone:
        options.check_sides(LEAST, 'a backbone')
    if not backbone:
        reason = why_never(cfg.model)
        if reason is not None:
            raise UserError(reason)
        preprocessing_of(cfg.test_dataloader.dataset.pipeline)
    for option, folder in (('--int8', options.int8), ('--images', options.images)):
        if folder is not None:
            images_in(folder, option)
    return target


def check_model(model: BaseDetector, options: ExportOptions) -> type[Program]:
    """The program of such a detector.

    Raises:
        UserError: it has none, or a setting that the program has not; or images are too small for it.
    """
    try:
        family = family_of(model)
    except ValueError as error:
        raise UserError(str(error)) from error
    options.check_sides(family.least(model), type(model).__name__)
    return family


def export_detector(
    model: BaseDetector,
    cfg: Config,
    out: str | Path,
    options: ExportOptions,
    *,
    classes: Sequence[str] = (),
    checkpoint: str = '',
    traced: ExportedProgram | None = None,
) -> list[Difference]:
    """Write `out`, prove it and return the proof's differences.

    Args:
        model: on the device of the options, with its weights; as it is afterwards.
        cfg: of the model, with its test pipeline.
        classes: their names, in the order of labels.
        checkpoint: the file that the weights are of, whose checksum is kept.
        traced: the program, where it has been traced for another kind of file.

    Raises:
        UserError: as `check_options` and `check_model`; or the file finds something else, and is not kept.
    """
    out = Path(out)
    target, family = check_options(cfg, out, options), check_model(model, options)
    check_room(out.parent, model)
    least = family.least(model)
    model.eval()
    differences: list[Difference] = []
    with limited(family.rules(model), options):
        program: nn.Module = family(model, half=options.fp16)
        program = Pasted(program) if options.paste_masks else program
        known = about(cfg, options, program.names, tuple(classes), checkpoint, least)
        images: list[Batch] = []
        score_thr = family.rules(model).get('score_thr', 0.0)

        def proof(path: Path) -> list[dict]:
            limits, detector = limits_of(options), Detector(path)
            images.extend(images_of_proof(detector, options.images))
            differences.extend(prove(model, detector, images, limits, score_thr))
            return check(differences, limits, out.name)

        def quantised(bare: Path, result: Path) -> None:
            quantise(bare, result, Detector(bare.with_stem('bare-copy')), images_in(str(options.int8), '--int8'))

        def loss(path: Path) -> list[str]:
            return [str(one) for one in prove(model, Detector(path), images, LOOSE_LIMITS, score_thr)]

        in_8_bits = (quantised, loss) if options.int8 is not None else (None, None)
        traced = traced or trace(program, options, least)
        write_proven(traced, out, target, known, proof, *in_8_bits)
    return differences


def export_backbone(
    backbone: nn.Module, cfg: Config, out: str | Path, options: ExportOptions, *, checkpoint: str = ''
) -> list[MapDifference]:
    """Write the backbone alone, for any number of images, to `out`, if the file's maps are the backbone's.

    Args:
        backbone: on the device of the options, with its weights; as it is afterwards.
        cfg: of a detector with this backbone, whose preprocessor is in the program.
        checkpoint: the file that the weights are of, whose checksum is kept.

    Raises:
        UserError: as `check_options`; or the maps are others, and the file is not kept.
    """
    out = Path(out)
    target = check_options(cfg, out, options, backbone=True)
    check_room(out.parent, backbone)
    backbone.eval()
    preprocessor = MODELS.build(cfg.model.data_preprocessor).to(options.device)
    program = BackboneProgram(backbone, preprocessor, half=options.fp16)
    known = about_any('backbone', cfg, options, program.names, checkpoint, LEAST)
    differences: list[MapDifference] = []

    def proof(path: Path) -> list[dict]:
        sizes = [options.size] * 3 if options.size else several_sizes(LEAST)
        differences.extend(prove_maps(backbone, preprocessor, Backbone(path), sizes))
        return check_maps(differences, out.name, half=options.fp16)

    write_proven(trace(program, options, LEAST, any_batch=True), out, target, known, proof)
    return differences


def images_of_proof(detector: Detector, folder: str | None) -> list[Batch]:
    """Of a folder, or drawn."""
    sizes = sizes_of_proof(detector.about)
    return batches(sizes) if folder is None else given(detector, images_in(folder, '--images'), sizes)


def sizes_of_proof(known: dict) -> list[tuple[int, int]]:
    """Padded sizes of images: that of the program; or several, and the config's."""
    if known['size']:
        return [tuple(known['size'])]
    wide, high = max(known['preprocessing']['scale']), min(known['preprocessing']['scale'])
    least, most = known['free']['least'], known['free']['most']
    own = tuple(max(min(-(-side // DIVISOR) * DIVISOR, most), least) for side in (high, wide))
    return [*several_sizes(least), own]


def several_sizes(least: int) -> list[tuple[int, int]]:
    """Of images with free sides: the least, and two that are far from square."""
    return [(least, least), (least, least + 4 * DIVISOR), (least + ROOM, least + DIVISOR)]


def limits_of(options: ExportOptions) -> Limits:
    """How far the file may be from the detector."""
    return WIDE_LIMITS if options.fp16 else LIMITS


@contextmanager
def limited(rules: dict, options: ExportOptions) -> Iterator[None]:
    """Within it the detector's settings have the number of detections and the threshold of the options."""
    before = dict(rules)
    most = 'max_per_image' if 'max_per_image' in rules else 'max_per_img'
    if options.max_detections is not None:
        rules[most] = options.max_detections
    if options.score_thr is not None:
        rules['score_thr'] = options.score_thr
    try:
        yield
    finally:
        rules.clear()
        rules.update(before)

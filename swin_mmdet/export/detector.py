"""A detector into a file that runs without it, and the proof that it finds the same."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mmdet.models.detectors.base import BaseDetector
from mmengine.config import Config

from swin_mmdet.engine.inference import load_detector
from swin_mmdet.engine.load_weights import read_weights
from swin_mmdet.errors import UserError
from swin_mmdet.export.about import about, preprocessing_of
from swin_mmdet.export.families import family_of
from swin_mmdet.export.options import ExportOptions
from swin_mmdet.export.pictures import batches
from swin_mmdet.export.program import DIVISOR, Program
from swin_mmdet.export.proof import LIMITS, Difference, check, prove
from swin_mmdet.export.runtime import Batch, Detector
from swin_mmdet.export.targets import Target, target_of
from swin_mmdet.export.trace import trace


def export_checkpoint(
    cfg: Config, checkpoint: str, out: Path, options: ExportOptions, *, runtime: bool = False
) -> Iterator[str]:
    """`export_detector` of a file of weights, and what there is to say meanwhile.

    With `runtime`, what runs the file is written beside it.
    """
    # without the weights, which may take long to read
    check_options(cfg, out, options)
    model = load_detector(cfg, read_weights(checkpoint, 'checkpoint'), 'cpu')
    classes = model.dataset_meta['classes']
    check_model(model, options)
    yield f'{type(model).__name__} of {Path(checkpoint).name}: tracing, which takes some minutes'
    differences = export_detector(model, cfg, out, options, classes=classes, checkpoint=checkpoint)
    yield f'{out} finds what the detector finds (limits: {LIMITS}):'
    yield from (f'  {one}' for one in differences)
    if runtime:
        written = write_runtime(out, target_of(options.to))
        yield f'beside it: {", ".join(path.name for path in written)}'


def check_options(cfg: Config, out: Path, options: ExportOptions) -> Target:
    """The kind of file that there will be.

    Raises:
        UserError: something of the config or the options cannot be exported, or a package is missing.
    """
    target = target_of(options.to)
    if out.suffix != target.suffix:
        raise UserError(f'{out}: the name of a file --to {target.name} ends in {target.suffix}')
    if not out.parent.is_dir():
        raise UserError(f'no folder {out.parent} for {out.name}')
    target.check()
    preprocessing_of(cfg.test_dataloader.dataset.pipeline)
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
    least = family.least(model)
    if min(options.size or (options.most,)) < least:
        raise UserError(f'{type(model).__name__} takes images with sides of {least} pixels and more')
    return family


def export_detector(
    model: BaseDetector,
    cfg: Config,
    out: str | Path,
    options: ExportOptions,
    *,
    classes: Sequence[str] = (),
    checkpoint: str = '',
    images: Sequence[Batch] = (),
) -> list[Difference]:
    """Write `out`, prove it and return the proof's differences.

    Args:
        model: on the CPU, with its weights; as it is afterwards.
        cfg: of the model, with its test pipeline.
        classes: their names, in the order of labels.
        checkpoint: the file that the weights are of, whose checksum is kept.
        images: for the proof, instead of drawn ones.

    Raises:
        UserError: as `check_options` and `check_model`; or the file finds something else, and is not kept.
    """
    out = Path(out)
    target, family = check_options(cfg, out, options), check_model(model, options)
    least = family.least(model)
    model.eval()
    with limited(family.rules(model), options):
        program = family(model)
        known = about(cfg, options, program.names, tuple(classes), checkpoint, least)
        with TemporaryDirectory(dir=out.parent) as folder:
            bare, proven = (Path(folder, name).with_suffix(target.suffix) for name in ('bare', 'proven'))
            target.write(trace(program, options, least), program.names, bare)
            shutil.copyfile(bare, proven)
            target.annotate(proven, json.dumps(known))
            images = images or batches(sizes_of_proof(known))
            score_thr = family.rules(model).get('score_thr', 0.0)
            differences = prove(model, Detector(proven), images, LIMITS, score_thr)
            known['proof'] = check(differences, LIMITS, out.name)
            target.annotate(bare, json.dumps(known))
            bare.replace(out)
    return differences


def sizes_of_proof(known: dict) -> list[tuple[int, int]]:
    """Padded sizes of images: that of the program; or the least, two that are far from square, and the config's."""
    if known['size']:
        return [tuple(known['size'])]
    wide, high = max(known['preprocessing']['scale']), min(known['preprocessing']['scale'])
    own = tuple(min(-(-side // DIVISOR) * DIVISOR, known['free']['most']) for side in (high, wide))
    least = known['free']['least']
    own = tuple(max(side, least) for side in own)
    return [(least, least), (least, least + 4 * DIVISOR), (least + 6 * DIVISOR, least + DIVISOR), own]


def write_runtime(out: Path, target: Target) -> list[Path]:
    """Put the runtime beside an exported file; it is one file, and another where torch may be without torchvision."""
    names = {'runtime.py': 'swin_mmdet_runtime.py'}
    if target.name == 'torch':
        names['torch_ops.py'] = 'swin_mmdet_torch_ops.py'
    return [
        Path(shutil.copyfile(Path(__file__).with_name(source), out.with_name(name))) for source, name in names.items()
    ]


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

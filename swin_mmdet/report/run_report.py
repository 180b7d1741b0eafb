"""The report of a work-dir: everything that is there, and a sentence for everything that is not."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from mmengine.config import Config

from swin_mmdet.config.files import read_config
from swin_mmdet.datasets.check import find_problems
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.problems import ERROR, Problem
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.datasets.sources import CocoSource, coco_sources
from swin_mmdet.errors import UserError
from swin_mmdet.evaluation.kept_detections import KeptDetections, kept_detections
from swin_mmdet.report import figures
from swin_mmdet.report.conditions import read_conditions
from swin_mmdet.report.confusion_view import confusion_view
from swin_mmdet.report.curves import RECALLS, ClassCurves
from swin_mmdet.report.errors import KINDS, MISSED, Errors
from swin_mmdet.report.evaluation import Evaluated, evaluate_kept
from swin_mmdet.report.gallery import ERROR_COLOURS, RIGHT_COLOUR, Card, gallery
from swin_mmdet.report.history import History, read_history
from swin_mmdet.report.images import Images
from swin_mmdet.report.page import render, write_page
from swin_mmdet.report.statistics import SplitStatistics, class_table, config_statistics

NAME = 'report.html'
PICTURES = 48
TITLES = {'bbox': 'Boxes', 'segm': 'Masks'}
SUMMARY = {'mAP': 'AP', 'mAP_50': 'AP50', 'mAP_75': 'AP75', 'mAP_s': 'small', 'mAP_m': 'medium', 'mAP_l': 'large'}
# thresholds at which curves over the score are drawn
THRESHOLDS = np.linspace(0, 1, 201)
Value = TypeVar('Value')


@dataclass
class Found:
    """What of a run is there; `notes` say what is not."""

    work_dir: Path
    config_file: Path | None
    config: Config | None = None
    history: History = field(default_factory=History)
    kept: KeptDetections | None = None
    ground_truth: dict = field(default_factory=dict)
    evaluated: list[Evaluated] = field(default_factory=list)
    cards: list[Card] = field(default_factory=list)
    splits: list[SplitStatistics] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def attempt(self, what: str, do: Callable[[], Value], otherwise: Value) -> Value:
        """Its value, or a note why there is none."""
        try:
            return do()
        except (UserError, ValueError, OSError) as error:
            self.notes.append(f'{what}: {error}')
            return otherwise


def write_report(
    work_dir: str | Path, out: str | Path | None = None, options: CheckOptions | None = None, pictures: int = PICTURES
) -> Path:
    """Write the report of a work-dir; without `out` into it.

    Args:
        options: how far the check of the data goes, which is repeated; what was seen of images before is kept.
        pictures: images in the gallery at most.

    Returns:
        The path of the page.

    Raises:
        UserError: there is nothing of a run in the folder, or the page cannot be written.
    """
    found = gather(Path(work_dir), options or CheckOptions(), pictures)
    page = render('report.html.jinja', **values_of(found))
    return write_page(Path(out or found.work_dir / NAME), page, '--out')


def config_of(work_dir: Path) -> Path | None:
    """The config that the newest run has left in its folder."""
    own = sorted(work_dir.glob('*.py'), key=lambda path: path.stat().st_mtime)
    copies = sorted(work_dir.glob('*/vis_data/config.py'))
    return own[-1] if own else copies[-1] if copies else None


def gather(work_dir: Path, options: CheckOptions, pictures: int = PICTURES) -> Found:
    """Read all that there is of a run, measure it and draw its pictures.

    Raises:
        UserError: there is nothing.
    """
    found = Found(work_dir, config_of(work_dir))
    found.history = found.attempt('The history cannot be read', lambda: read_history(work_dir), found.history)
    found.kept = found.attempt('No evaluation', lambda: kept_detections(work_dir), None)
    if not found.history.training and found.kept is None and found.config_file is None:
        raise UserError(
            f'{work_dir} has no run: no scalars.json, no config, no detections; name the work-dir of train.py'
        )
    for path, lines in found.history.broken.items():
        found.notes.append(f'{path} has {lines} lines that are cut or damaged; they are left out.')
    if not found.history.training:
        found.notes.append('No curves of a training: there is no scalars.json with losses in this work-dir.')
    if found.config_file:
        name = str(found.config_file)
        found.config = found.attempt('No data and no pictures', lambda: read_config(name), None)
    else:
        found.notes.append('No data and no pictures: the work-dir has no config.')
    if found.kept:
        _evaluate(found, found.kept)
    else:
        found.notes.append(
            'No predictions were kept here, so there are no errors to look at: --checkpoint CHECKPOINT of `swin-mmdet '
            'report` evaluates a checkpoint first.'
        )
    if found.config:
        config = found.config
        nothing: tuple[list[SplitStatistics], list[str]] = ([], [])
        found.splits, notes = found.attempt('No statistics', lambda: config_statistics(config), nothing)
        found.notes += notes
        found.problems = found.attempt(
            'The data were not checked', lambda: find_problems(config, thorough=False, options=options)[0], []
        )
    if found.evaluated:
        primary = found.evaluated[-1]
        images = Images(*_images_of(found), options.allow_outside)
        found.cards = gallery(primary.matching, primary.above, found.ground_truth, primary.detections, images,
                              primary.threshold, pictures)  # fmt: skip
        gone = [card for card in found.cards if card.problem]
        if gone:
            found.notes.append(
                f'{len(gone)} of the {len(found.cards)} images of the gallery cannot be read, such as {gone[0].name}: '
                f'{gone[0].problem}'
            )
    return found


def _evaluate(found: Found, kept: KeptDetections) -> None:
    nothing: tuple[dict, list[Evaluated], list[str]] = ({}, [], [])
    found.ground_truth, found.evaluated, notes = found.attempt('No evaluation', lambda: evaluate_kept(kept), nothing)
    found.notes += notes


def _images_of(found: Found) -> tuple[Path | None, ImageReader]:
    """The folder of the images that were evaluated, and a reader of them."""
    sources: Sequence[CocoSource] = coco_sources(found.config, quiet=True) if found.config else ()
    wanted = Path(found.kept.ann_file).resolve() if found.kept else None
    for source in sources:
        if Path(source.ann_file).resolve() == wanted:
            return source.image_folder, ImageReader(source.pipeline)
    return None, ImageReader()


def values_of(found: Found) -> dict[str, Any]:
    """What the template shows."""
    trainings = [one for one in read_conditions(found.work_dir) if one.is_training]
    primary = found.evaluated[-1] if found.evaluated else None
    return dict(
        title=found.work_dir.resolve().name,
        config_name=found.config_file.name if found.config_file else '',
        # as mmengine has written it: to format one again takes seconds
        config_text=found.config_file.read_text(errors='replace') if found.config_file else '',
        made=time.strftime('%Y-%m-%d %H:%M'),
        notes=found.notes,
        kept=found.kept,
        history=found.history,
        history_figures=_history_figures(found.history),
        evaluated=found.evaluated,
        titles=TITLES,
        summary=SUMMARY,
        curve_figures={one.iou_type: _curve_figures(one) for one in found.evaluated},
        primary=primary,
        confusion=confusion_view(primary.matching, primary.names, primary.threshold) if primary else None,
        kinds=KINDS,
        kind_colours=[_css(colour) for colour in ERROR_COLOURS],
        right_colour=_css(RIGHT_COLOUR),
        largest_cost=max((float(one.costs.max()) for one in found.evaluated), default=0.0),
        primary_counts=_counts(primary) if primary else [],
        cards=found.cards,
        gallery_classes=sorted({int(mark.split(':')[1]) for card in found.cards for mark in card.marks.split()}),
        splits=found.splits,
        class_rows=class_table(found.splits),
        data_figures=figures.data_figures(found.splits),
        errors=[problem for problem in found.problems if problem.level == ERROR],
        warnings=[problem for problem in found.problems if problem.level != ERROR],
        runs=trainings,
        training_seconds=sum((one.end - one.start).total_seconds() for one in trainings),
        best=_best(found.history),
    )


def _counts(one: Evaluated) -> list[tuple[int, int]]:
    """How many errors of each kind there are in all, and from the threshold on."""
    return [(_count(one.errors, kind), _count(one.above, kind)) for kind in range(len(KINDS))]


def _count(errors: Errors, kind: int) -> int:
    return int(errors.missed.sum() if kind == MISSED else (errors.kind == kind).sum())


def _css(colour: tuple[int, int, int]) -> str:
    return f'rgb({colour[0]} {colour[1]} {colour[2]})'


def _best(history: History) -> tuple[str, int, float] | None:
    """Title, iteration and value of the best evaluation, of masks where there are any."""
    for name, title in (('segm_mAP', 'mask AP'), ('bbox_mAP', 'box AP')):
        series = history.evaluations.get(name)
        if series:
            place = int(np.nan_to_num(series.values, nan=-1).argmax())
            return title, series.iterations[place], series.values[place]
    return None


def _history_figures(history: History) -> list[tuple[str, Any]]:
    drawn = (
        ('Losses', figures.loss_figure(history)),
        ('AP on the validation images', figures.ap_figure(history)),
        ('Learning rate', figures.rate_figure(history)),
        ('Norm of the gradient', figures.norm_figure(history)),
    )
    return [(title, figure) for title, figure in drawn if figure]


def _curve_figures(one: Evaluated) -> list[tuple[str, Any]]:
    """Precision over recall, and F1, precision and recall over the threshold of the score."""
    precisions = [curves.precision for curves in one.curves if np.isfinite(curves.precision).all()]
    mean = np.mean(precisions, axis=0) if precisions else np.zeros(len(RECALLS))
    of_classes = [curves.precision if np.isfinite(curves.precision).all() else None for curves in one.curves]
    drawn = [('Precision over recall, IoU 0.5 (strong: the mean)', figures.class_curves_figure(
        f'pr-{one.iou_type}', RECALLS, of_classes, mean, 'recall'))]  # fmt: skip
    for title, key in (('F1', 'f1_from'), ('Precision', 'precision_from'), ('Recall', 'recall_from')):
        values = [_over_thresholds(curves, key) if objects else None
                  for curves, objects in zip(one.curves, one.matching.num_objects)]  # fmt: skip
        drawn.append((f'{title} over the threshold (strong: all together)', figures.class_curves_figure(
            f'{title.lower()}-{one.iou_type}', THRESHOLDS, values, _over_thresholds(one.together, key),
            'threshold of the score')))  # fmt: skip
    return drawn


def _over_thresholds(curves: ClassCurves, key: str) -> np.ndarray:
    """Values at `THRESHOLDS`; where no score is as high nothing is found: no precision, 0 of the others."""
    values = np.append(getattr(curves, key), np.nan if key == 'precision_from' else 0.0)
    # how many of the falling scores are at least as high
    places = np.searchsorted(-curves.thresholds, -THRESHOLDS, side='right') - 1
    return values[places]

"""The page of a check before a training: what was found, the data in numbers, and pictures of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from swin_mmdet.datasets.check import folder_reader
from swin_mmdet.datasets.coco_file import read_coco
from swin_mmdet.datasets.discover import CocoFolder, images_beside
from swin_mmdet.datasets.problems import ERROR, Problem
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.errors import UserError
from swin_mmdet.report.annotated import AnnotatedImage, annotated_images
from swin_mmdet.report.batches import Batch, training_batches
from swin_mmdet.report.figures import data_figures
from swin_mmdet.report.images import Images
from swin_mmdet.report.page import render, write_page
from swin_mmdet.report.statistics import SplitStatistics, class_table, config_statistics, statistics_of

BATCHES = 3
# of each annotation file
IMAGES = 12


@dataclass
class CheckPage:
    """What a page shows besides the findings.

    annotated: (name of the split, its images).
    """

    title: str
    splits: list[SplitStatistics] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    annotated: list[tuple[str, list[AnnotatedImage]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def write(self, out: Path, problems: Sequence[Problem]) -> Path:
        """Write the page; raises UserError where that cannot be done."""
        page = render(
            'check.html.jinja',
            title=self.title,
            made=time.strftime('%Y-%m-%d %H:%M'),
            errors=[problem for problem in problems if problem.level == ERROR],
            warnings=[problem for problem in problems if problem.level != ERROR],
            notes=self.notes,
            splits=self.splits,
            class_rows=class_table(self.splits),
            data_figures=data_figures(self.splits),
            batches=self.batches,
            annotated=self.annotated,
        )
        return write_page(out, page, '--html')

    def add(self, what: str, do: Callable[[], None]) -> None:
        """Do it, or note why it cannot be done: there is something wrong with the data, mostly."""
        try:
            do()
        except (UserError, ValueError, OSError) as error:
            self.notes.append(f'{what}: {error}')


def page_of_config(title: str, cfg: Config) -> CheckPage:
    """With the first training batches."""
    page = CheckPage(title)

    def statistics() -> None:
        page.splits, notes = config_statistics(cfg)
        page.notes += notes

    def batches() -> None:
        page.batches = training_batches(cfg, BATCHES)

    page.add('No statistics', statistics)
    page.add('No batches', batches)
    return page


def page_of_folder(title: str, folder: CocoFolder, allow_outside: bool = False) -> CheckPage:
    """With images as they are annotated."""
    page, reader = CheckPage(title), folder_reader(folder)
    for name, ann_file, images in (('train', folder.train_ann, folder.train_images),
                                   ('val', folder.val_ann, folder.val_images)):
        _add_file(page, name, ann_file, Images(images, reader, allow_outside))
    return page


def page_of_file(title: str, ann_file: Path, images: Path | None, allow_outside: bool = False) -> CheckPage:
    """With images as they are annotated; `images` None are sought beside the file."""
    page = CheckPage(title)
    try:
        folder = images or images_beside(ann_file, read_coco(ann_file))
    except (FileNotFoundError, ValueError) as error:
        page.notes.append(f'No images: {error}')
        folder = None
    _add_file(page, ann_file.name, ann_file, Images(folder, ImageReader(), allow_outside))
    return page


def _add_file(page: CheckPage, name: str, ann_file: Path, images: Images) -> None:
    def statistics() -> None:
        page.splits.append(statistics_of(name, read_coco(ann_file)))

    def pictures() -> None:
        page.annotated.append((name, annotated_images(ann_file, images, IMAGES)))

    page.add(f'No statistics of {name}', statistics)
    if images.folder is not None:
        page.add(f'No pictures of {name}', pictures)

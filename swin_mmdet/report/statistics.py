"""Numbers of the data of a run: images, objects of each class, and how large they are."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from swin_mmdet.datasets.coco_file import CocoFile, CocoFileError, read_coco
from swin_mmdet.datasets.describe import MEDIUM, SMALL
from swin_mmdet.datasets.sources import coco_sources


@dataclass(frozen=True)
class SplitStatistics:
    """One annotation file.

    name: such as 'train' or 'val, test'.
    sides: [objects], the square root of the area of each box in pixels.
    per_image: [images], objects without crowds.
    classes: name -> annotations, crowds included.
    """

    name: str
    path: str
    images: int
    empty_images: int
    annotations: int
    crowds: int
    image_sizes: np.ndarray
    sides: np.ndarray
    per_image: np.ndarray
    classes: dict[str, int]

    @property
    def size_shares(self) -> tuple[float, float, float]:
        """Shares of small, medium and large objects, as COCO divides them, by their boxes."""
        if not len(self.sides):
            return 0.0, 0.0, 0.0
        small, large = float(np.mean(self.sides < SMALL)), float(np.mean(self.sides >= MEDIUM))
        return small, 1 - small - large, large


def statistics_of(name: str, coco: CocoFile) -> SplitStatistics:
    """Of an annotation file that has been read."""
    classes = Counter()
    for id, title in coco.categories:
        classes[title] += coco.instances[id]
    return SplitStatistics(
        name=name,
        path=str(coco.path),
        images=len(coco.file_names),
        empty_images=coco.num_empty_images,
        annotations=coco.num_annotations,
        crowds=coco.num_crowds,
        image_sizes=coco.image_sizes,
        sides=np.sqrt(coco.box_sizes.clip(0).prod(axis=1)),
        per_image=coco.objects,
        classes=dict(classes),
    )


def config_statistics(cfg) -> tuple[list[SplitStatistics], list[str]]:
    """Of every annotation file that a config names, once each, and a sentence for each that cannot be read."""
    splits: dict[str, list[str]] = {}
    for source in coco_sources(cfg, quiet=True):
        splits.setdefault(source.ann_file, [])
        if source.split not in splits[source.ann_file]:
            splits[source.ann_file].append(source.split)
    found, notes = [], []
    for path, names in splits.items():
        try:
            found.append(statistics_of(', '.join(names), read_coco(path)))
        except CocoFileError as error:
            notes.append(f'No statistics of {", ".join(names)}: {error}')
    return found, notes


def class_table(splits: list[SplitStatistics]) -> list[tuple[str, list[int]]]:
    """Every class with its annotations in each split, those of most in the first split before others."""
    names = dict.fromkeys(name for split in splits for name in split.classes)
    rows = [(name, [split.classes.get(name, 0) for split in splits]) for name in names]
    return sorted(rows, key=lambda row: -row[1][0])

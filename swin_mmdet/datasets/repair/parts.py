"""Which annotation files and folders of images a repair starts from, also where they cannot be read as they are."""

from collections.abc import Callable
from pathlib import Path

from swin_mmdet.datasets.coco_file import CocoFile, summarise
from swin_mmdet.datasets.discover import CocoFolder, find_annotations, find_images, images_beside
from swin_mmdet.datasets.json_file import read_json
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.datasets.repair.write import ToRepair
from swin_mmdet.datasets.sources import coco_sources

SPLITS = 'train', 'val'


def parts_of_folder(folder: Path, find: Callable[[], CocoFolder]) -> list[ToRepair]:
    """Its train and val: as they are found in any layout or, where a file cannot be read so, in COCO's places.

    Raises:
        FileNotFoundError: there are none.
        CocoFileError: an annotation file cannot be read at all.
    """
    try:
        found = find()
        places = [(found.train_ann, found.train_images), (found.val_ann, found.val_images)]
    except (FileNotFoundError, ValueError):
        files = [find_annotations(folder, split) for split in SPLITS]
        places = [(file, find_images(folder, split, file, _readable(file))) for split, file in zip(SPLITS, files)]
    return [_named(split, *place, ImageReader()) for split, place in zip(SPLITS, places)]


def parts_of_file(ann_file: Path, images: Path | None) -> list[ToRepair]:
    """One annotation file, under its own name."""
    images = images or images_beside(ann_file, _readable(ann_file))
    return [ToRepair(ann_file.name, images.name, ann_file, images, ImageReader())]


def parts_of_config(cfg) -> list[ToRepair]:
    """The data sets of a config, each once."""
    parts: dict[tuple, ToRepair] = {}
    names: list[str] = []
    for source in coco_sources(cfg, quiet=True):
        same = Path(source.ann_file).resolve(), source.image_folder
        if same in parts or source.image_folder is None:
            continue
        number = names.count(source.split)
        names.append(source.split)
        name = f'{source.split}{number + 1}_' if number else source.split
        parts[same] = _named(name, Path(source.ann_file), source.image_folder, ImageReader(source.pipeline))
    return list(parts.values())


def _named(split: str, ann_file: Path, images: Path, reader: ImageReader) -> ToRepair:
    return ToRepair(f'instances_{split}2017.json', f'{split}2017', ann_file, images, reader)


def _readable(ann_file: Path) -> CocoFile:
    return summarise(ann_file, read_json(ann_file, repair=True))

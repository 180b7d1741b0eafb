"""Write a repaired copy of data: annotation files, links to the folders of images, and a list of what was changed."""

import csv
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swin_mmdet.datasets.check import check_file
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.coco_file import read_coco, summarise
from swin_mmdet.datasets.faults import is_id, is_number, spelt
from swin_mmdet.datasets.json_file import read_json
from swin_mmdet.datasets.problems import Problem
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.datasets.repair.annotations import Around, repair_annotations
from swin_mmdet.datasets.repair.categories import add_categories, repair_categories
from swin_mmdet.datasets.repair.change import Change, Changes
from swin_mmdet.datasets.repair.images import Folder, repair_images
from swin_mmdet.datasets.text_encoding import encoding_of
from swin_mmdet.errors import UserError

CHANGES = 'changes.csv'


@dataclass(frozen=True)
class ToRepair:
    """An annotation file and its images; the names of the copy and of the link to the images."""

    name: str
    link: str
    ann_file: Path
    images: Path
    reader: ImageReader


def write_repaired(parts: Sequence[ToRepair], out: Path, options: CheckOptions) -> list[Change]:
    """Write repaired annotations and links to the folders of images in COCO's layout.

    Nothing is changed in place; `changes.csv` lists what was changed.

    Raises:
        UserError: the folder has something in it.
        CocoFileError: an annotation file cannot be read at all.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f'--fix {out}: there is something already; name a new folder')
    notes = {part.name: Changes() for part in parts}
    files = {part.name: repaired(part, options, notes[part.name]) for part in parts}
    names = list(dict.fromkeys(category['name'] for data in files.values() for category in data['categories']))
    for name, data in files.items():
        add_categories(data, names, notes[name])
    (out / 'annotations').mkdir(parents=True)
    for part in parts:
        text = json.dumps(files[part.name], ensure_ascii=False)
        (out / 'annotations' / part.name).write_text(text, encoding='utf-8')
        os.symlink(part.images.resolve(), out / part.link, target_is_directory=True)
    with open(out / CHANGES, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(('file', 'kind', 'item', 'change'))
        for name, changes in notes.items():
            writer.writerows((name, change.kind, change.item, change.what) for change in changes)
    return [change for changes in notes.values() for change in changes]


def summary(changes: Sequence[Change]) -> str:
    """Counts by kind, the first of each as an example."""
    first = {change.kind: change for change in reversed(changes)}
    counts = Counter(change.kind for change in changes)
    lines = [f'{number} x {first[kind].item}: {first[kind].what}' for kind, number in counts.most_common()]
    return '\n'.join(lines) or 'nothing was changed'


def what_is_left(parts: Sequence[ToRepair], out: Path, options: CheckOptions) -> list[Problem]:
    """Problems of a repaired copy."""
    return [
        problem
        for part in parts
        for problem in check_file(read_coco(out / 'annotations' / part.name), out / part.link, options)
    ]


def repaired(part: ToRepair, options: CheckOptions, note: Changes) -> dict:
    """The JSON of an annotation file, put right as far as that takes no guess."""
    if encoding_of(part.ann_file.read_bytes()) != 'utf-8':
        note('file_text', part.ann_file.name, 'written as UTF-8 without a byte order mark')
    data = read_json(part.ann_file, repair=True)
    repair_categories(data, note)
    repair_images(data, Folder(part.images, part.reader, options), note)
    coco = summarise(part.ann_file, data)
    sizes = {
        image['id']: (image['width'], image['height'])
        for image in data['images']
        if all(is_number(image.get(side)) for side in ('width', 'height'))
    }
    ids = {
        'image_id': {spelt(image['id']): image['id'] for image in data['images']},
        'category_id': {spelt(one['id']): one['id'] for one in data['categories'] if is_id(one.get('id'))},
    }
    missing = coco.faults['mask_missing'].count if 'mask_missing' in coco.faults else 0
    around = Around(coco, sizes, ids, masks=missing < coco.num_annotations)
    data['annotations'] = repair_annotations(data['annotations'], around, note)
    return data

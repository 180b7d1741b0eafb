"""Images as their annotation file says they are."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from swin_mmdet.datasets.json_file import read_json
from swin_mmdet.datasets.read_image import UnreadableImageError
from swin_mmdet.report.images import Images
from swin_mmdet.report.pictures import Drawn, class_colour, data_uri, draw, short

CROWD_COLOUR = (150, 150, 150)


@dataclass(frozen=True)
class AnnotatedImage:
    """picture: its address, '' where it cannot be read, for the reason in `problem`."""

    name: str
    objects: int
    picture: str = ''
    problem: str = ''


def annotated_images(ann_file: Path, images: Images, limit: int) -> list[AnnotatedImage]:
    """At most `limit` images of an annotation file, spread over it, those with objects before others.

    Raises:
        CocoFileError: the file cannot be read.
    """
    data = read_json(ann_file)
    names = {category.get('id'): str(category.get('name')) for category in data['categories']}
    place = {id: index for index, id in enumerate(names)}
    objects = defaultdict(list)
    for ann in data['annotations']:
        objects[ann.get('image_id')].append(ann)
    listed = [image for image in data['images'] if objects[image.get('id')]] or data['images']
    places = np.unique(np.linspace(0, len(listed) - 1, limit).round().astype(int)) if listed else []
    found = []
    for image in (listed[index] for index in places):
        name, anns = str(image.get('file_name', '')), objects[image.get('id')]
        try:
            picture = images.read(name)
        except UnreadableImageError as error:
            found.append(AnnotatedImage(name, len(anns), problem=str(error)))
            continue
        things = []
        for ann in anns:
            box, category = ann.get('bbox'), ann.get('category_id')
            if not _is_box(box):
                continue
            text = short(names.get(category, f'category {category}')) + (' crowd' if ann.get('iscrowd') else '')
            colour = CROWD_COLOUR if ann.get('iscrowd') else class_colour(place.get(category, 0))
            things.append(Drawn(box, ann.get('segmentation'), text, colour))
        found.append(AnnotatedImage(name, len(anns), data_uri(draw(picture, things))))
    return found


def _is_box(box: object) -> bool:
    """Whether it can be drawn; what is wrong with others is among the findings."""
    return isinstance(box, list) and len(box) == 4 and all(
        isinstance(value, int | float) and np.isfinite(value) and abs(value) < 1e6 for value in box
    )

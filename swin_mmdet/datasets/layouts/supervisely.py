"""Supervisely: `meta.json` with the classes, and in each data set `img` and `ann` with a JSON file for each image."""

import base64
import io
import posixpath
import zlib

import numpy as np
from PIL import Image, UnidentifiedImageError

from swin_mmdet.datasets.layouts.errors import LayoutError, mapping, number, sequence, whole
from swin_mmdet.datasets.layouts.folder import DataFolder, json_kind, split_of
from swin_mmdet.datasets.layouts.labels import LabelledImage, Labels
from swin_mmdet.datasets.layouts.outlines import bitmap_of, box_of, flat, placed

EXPECTS = "'meta.json' with classes, and 'ann' with a JSON file of 'objects' for each image of 'img'"
NO_OBJECTS = ('point', 'line', 'graph', 'cuboid', 'any')


def recognise(folder: DataFolder) -> list[str]:
    return folder.of_json_kind('Supervisely')


def read(folder: DataFolder) -> Labels:
    files = folder.of_json_kind('Supervisely classes')
    classes = [
        str(one['title'])
        for file in files
        for one in mapping(folder.json(file), str(folder.path(file)))['classes']
        if one.get('shape') not in NO_OBJECTS[:-1]
    ]
    labels = Labels(folder, dict.fromkeys(classes))
    for file in folder.beside(recognise(folder)):
        content = folder.json(file)
        if json_kind(content) != 'Supervisely':
            labels.leave_out("JSON files without 'objects' and 'size'")
            continue
        here, name = posixpath.split(posixpath.splitext(file)[0])
        near = [posixpath.join(posixpath.dirname(here), 'img'), here]
        # older projects name the file after the image without its suffix
        found = folder.find_image(name, near) or folder.find_stem(posixpath.basename(name), near)
        where = str(folder.path(file))
        sides = mapping(content.get('size'), where)
        size = whole(sides.get('width'), where, 'width'), whole(sides.get('height'), where, 'height')
        image = labels.image(split_of(here), found, name, size)
        for index, item in enumerate(sequence(content.get('objects'), where), 1):
            _add(labels, image, mapping(item, where), f'{where}, object {index}')
    return labels


def _add(labels: Labels, image: LabelledImage, item: dict, where: str) -> None:
    label, kind = str(item.get('classTitle') or ''), item.get('geometryType')
    if not label:
        raise LayoutError(f'{where}: it has no classTitle')
    if kind in NO_OBJECTS:
        labels.leave_out(f'shapes that are {kind}')
    elif kind == 'bitmap':
        image.add_bitmap(label, _bitmap(mapping(item.get('bitmap'), where), image.known_size, where))
    elif kind in ('polygon', 'rectangle'):
        points = mapping(item.get('points'), where)
        outer = _points(points.get('exterior'), 3 if kind == 'polygon' else 2, where)
        holes = [_points(hole, 3, where) for hole in sequence(points.get('interior'), where)]
        if kind == 'rectangle':
            image.add_box(label, box_of([outer]))
        elif holes:
            width, height = image.known_size
            image.add_bitmap(label, bitmap_of([outer], height, width) & ~bitmap_of(holes, height, width))
        else:
            image.add_polygons(label, [outer])
    else:
        raise LayoutError(f'{where}: geometryType {kind!r} is not known; known are bitmap, polygon, rectangle')


def _points(points: object, least: int, where: str) -> list[float]:
    points = sequence(points, where)
    if len(points) < least or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise LayoutError(f'{where}: its points are not {least} or more pairs of x and y')
    return flat([[number(value, where, 'a coordinate') for value in point] for point in points])


def _bitmap(content: dict, size: tuple[int, int], where: str) -> np.ndarray:
    """A packed picture of the part of the image from `origin` on."""
    origin = sequence(content.get('origin'), where)
    if len(origin) != 2:
        raise LayoutError(f'{where}: origin of its bitmap is {origin}, not [x, y]')
    left, top = (whole(value, where, 'origin', -(10**6)) for value in origin)
    try:
        packed = base64.b64decode(content.get('data') or '', validate=True)
        with Image.open(io.BytesIO(zlib.decompress(packed))) as picture:
            if 'A' in picture.getbands():
                bits = np.asarray(picture.getchannel('A')) > 0
            else:
                bits = np.asarray(picture.convert('L')) > 0
    except UnidentifiedImageError as error:
        raise LayoutError(f'{where}: its bitmap is no picture') from error
    except (ValueError, OSError, TypeError, zlib.error) as error:
        raise LayoutError(f'{where}: its bitmap cannot be unpacked ({error})') from error
    return placed(bits, left, top, size[1], size[0])

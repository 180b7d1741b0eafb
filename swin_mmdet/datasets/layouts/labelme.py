"""LabelMe: a JSON file for each image, with its shapes.

Polygons, masks and circles have masks, rectangles are boxes; shapes of one label and one group are the parts of one
object. Points and lines are no objects of a detector. An image without a file was never labelled.
"""

import base64
import io
import math
import posixpath
from collections import defaultdict

import numpy as np
from PIL import Image, UnidentifiedImageError

from swin_mmdet.datasets.layouts.errors import LayoutError, mapping, number, sequence, whole
from swin_mmdet.datasets.layouts.folder import DataFolder, json_kind, split_of, stem
from swin_mmdet.datasets.layouts.labels import LabelledImage, Labels
from swin_mmdet.datasets.layouts.outlines import bitmap_of, box_of, ellipse, flat, placed
from swin_mmdet.datasets.problems import count

EXPECTS = "a JSON file with 'shapes' and 'imagePath' for each image"
NO_OBJECTS = ('point', 'points', 'line', 'linestrip')
NO_CLASSES = ('__ignore__', '_background_')  # LabelMe's own names for what is not to be learnt


def recognise(folder: DataFolder) -> list[str]:
    return folder.of_json_kind('LabelMe')


def read(folder: DataFolder) -> Labels:
    labels = Labels(folder)
    for file in folder.beside(recognise(folder)):
        content = folder.json(file)
        if json_kind(content) != 'LabelMe':
            labels.leave_out("JSON files without 'shapes' and 'imagePath'")
            continue
        here, named = posixpath.dirname(file), str(content.get('imagePath') or stem(file))
        found = folder.find_image(named, [here]) or folder.find_stem(stem(file), [here])
        image = labels.image(split_of(here), found, named, _size(content, str(folder.path(file))))
        _add_shapes(image, content, str(folder.path(file)), labels)
    unlabelled = len(folder.images) - sum(map(len, labels.splits.values()))
    if unlabelled > 0:
        labels.leave_out('images without a JSON file, which were not labelled', unlabelled)
    return labels


def _size(content: dict, where: str) -> tuple[int, int] | None:
    width, height = content.get('imageWidth'), content.get('imageHeight')
    return (whole(width, where, 'imageWidth'), whole(height, where, 'imageHeight')) if width and height else None


def _add_shapes(image: LabelledImage, content: dict, where: str, labels: Labels) -> None:
    groups: dict[tuple, list[dict]] = defaultdict(list)
    for index, shape in enumerate(sequence(content.get('shapes'), where), 1):
        shape = mapping(shape, f'{where}, shape {index}') | {'where': f'{where}, shape {index}'}
        kind, label = shape.get('shape_type') or 'polygon', str(shape.get('label') or '')
        if not label:
            raise LayoutError(f'{shape["where"]}: it has no label')
        if kind in NO_OBJECTS or label in NO_CLASSES:
            labels.leave_out('shapes that are points or lines' if kind in NO_OBJECTS else f'shapes named {label}')
            continue
        group = shape.get('group_id')
        groups[label, ('alone', index) if group is None else ('group', str(group))].append(shape)
    for (label, _), shapes in groups.items():
        _add_object(image, label, shapes)


def _add_object(image: LabelledImage, label: str, shapes: list[dict]) -> None:
    """One object of shapes that belong together; boxes of a group with outlines say nothing more."""
    kinds = [shape.get('shape_type') or 'polygon' for shape in shapes]
    polygons = [_polygon(shape, kind) for shape, kind in zip(shapes, kinds) if kind not in ('mask', 'rectangle')]
    masks = [shape for shape, kind in zip(shapes, kinds) if kind == 'mask']
    if masks:
        if image.size is None:
            raise LayoutError(f'{masks[0]["where"]}: a mask needs imageWidth and imageHeight')
        width, height = image.size
        bitmap = bitmap_of(polygons, height, width) if polygons else np.zeros((height, width), bool)
        for shape in masks:
            bitmap |= _mask(shape, height, width)
        image.add_bitmap(label, bitmap)
    elif polygons:
        image.add_polygons(label, polygons)
    else:
        image.add_box(label, box_of([flat(_points(shape, 2)) for shape in shapes]))


def _polygon(shape: dict, kind: str) -> list[float]:
    if kind == 'circle':
        (x, y), (edge_x, edge_y) = _points(shape, 2, exactly=True)
        radius = math.hypot(edge_x - x, edge_y - y)
        return flat(ellipse(x, y, radius, radius))
    if kind == 'polygon':
        return flat(_points(shape, 3))
    if kind == 'oriented_rectangle':
        return flat(_points(shape, 4, exactly=True))
    raise LayoutError(f'{shape["where"]}: shape_type {kind!r} is not known; draw it as a polygon')


def _points(shape: dict, least: int, *, exactly: bool = False) -> list[list[float]]:
    where, points = shape['where'], sequence(shape.get('points'), shape['where'])
    if len(points) < least or (exactly and len(points) != least):
        raise LayoutError(f'{where}: {count(len(points), "point")}; {shape.get("shape_type") or "polygon"} has {least}'
                          f'{"" if exactly else " or more"}; remove it or draw it again')  # fmt: skip
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise LayoutError(f'{where}: its points are no pairs of x and y')
    return [[number(value, where, 'a coordinate') for value in point] for point in points]


def _mask(shape: dict, height: int, width: int) -> np.ndarray:
    """The picture that LabelMe stores for the part of the image between two corners."""
    where = shape['where']
    (left, top), _ = _points(shape, 2, exactly=True)
    try:
        with Image.open(io.BytesIO(base64.b64decode(shape.get('mask') or '', validate=True))) as picture:
            bitmap = np.asarray(picture.convert('L')) > 0
    except UnidentifiedImageError as error:
        raise LayoutError(f'{where}: its mask is no picture') from error
    except (ValueError, OSError, TypeError) as error:
        raise LayoutError(f'{where}: its mask is no picture ({error})') from error
    return placed(bitmap, round(left), round(top), height, width)

"""Datumaro: a JSON file of items for each subset, images under `images`.

Polygons and masks of one label and one group are the parts of one object, a box of the group says nothing more.
"""

import posixpath
from collections import defaultdict
from typing import Any

import numpy as np
import pycocotools.mask as rle_codec

from swin_mmdet.datasets.layouts.errors import LayoutError, mapping, number, sequence, whole
from swin_mmdet.datasets.layouts.folder import DataFolder, split_of, stem
from swin_mmdet.datasets.layouts.labels import LabelledImage, Labels
from swin_mmdet.datasets.layouts.outlines import bitmap_of, flat, rounded
from swin_mmdet.structures.segmentation import MaskError, readable_mask

EXPECTS = "a JSON file with 'categories' and 'items' for each subset"
NO_OBJECTS = ('label', 'caption', 'points', 'polyline', 'cuboid_3d', 'cuboid_2d', 'ellipse', 'skeleton')


def recognise(folder: DataFolder) -> list[str]:
    return folder.of_json_kind('Datumaro')


def read(folder: DataFolder) -> Labels:
    contents = {file: mapping(folder.json(file), str(folder.path(file))) for file in recognise(folder)}
    classes = {file: _classes(content, str(folder.path(file))) for file, content in contents.items()}
    labels = Labels(folder, dict.fromkeys(name for names in classes.values() for name in names))
    for file, content in contents.items():
        for index, item in enumerate(sequence(content['items'], str(folder.path(file))), 1):
            where = f'{folder.path(file)}, item {index}'
            _read_item(labels, file, mapping(item, where), classes[file], where)
    return labels


def _classes(content: dict, where: str) -> list[str]:
    listed = mapping(content['categories'].get('label', {}), where).get('labels')
    names = [str(mapping(one, where).get('name') or '') for one in sequence(listed, where)]
    if not names or not all(names):
        raise LayoutError(f'{where}: categories.label.labels lists no names of classes')
    return names


def _read_item(labels: Labels, file: str, item: dict, classes: list[str], where: str) -> None:
    stated = mapping(item.get('image') or {}, where)
    named = str(stated.get('path') or item.get('id') or '')
    subset, base = stem(file), posixpath.dirname(posixpath.dirname(file))
    near = [posixpath.join(base, 'images', subset), posixpath.join(base, 'images'), posixpath.dirname(file)]
    found = labels.folder.find_image(named, near) or labels.folder.find_stem(named, near)
    size = stated.get('size')
    if size is not None:
        if not isinstance(size, list) or len(size) != 2:
            raise LayoutError(f'{where}: size is {size!r}, not [height, width]')
        size = whole(size[1], where, 'width'), whole(size[0], where, 'height')
    image = labels.image(split_of(subset), found, named, size)
    groups: dict[tuple, list[dict]] = defaultdict(list)
    for index, ann in enumerate(sequence(item.get('annotations'), where)):
        ann = mapping(ann, where)
        if ann.get('type') in NO_OBJECTS:
            labels.leave_out(f'annotations that are {ann["type"]}')
            continue
        if ann.get('type') not in ('bbox', 'polygon', 'mask'):
            raise LayoutError(f'{where}: an annotation of type {ann.get("type")!r}; known are bbox, polygon and mask')
        label = ann.get('label_id')
        if not isinstance(label, int) or not 0 <= label < len(classes):
            raise LayoutError(f'{where}: label_id is {label!r}, and there are {len(classes)} classes')
        group = ann.get('group')
        groups[classes[label], f'group {group}' if group else f'alone {index}'].append(ann)
    for (label, _), parts in groups.items():
        _add_object(image, label, parts, where)


def _add_object(image: LabelledImage, label: str, parts: list[dict], where: str) -> None:
    polygons = [_polygon(part, where) for part in parts if part['type'] == 'polygon']
    masks = [_mask(part, image, where) for part in parts if part['type'] == 'mask']
    if masks:
        width, height = image.known_size
        image.add_bitmap(label, np.any([*masks, *([bitmap_of(polygons, height, width)] if polygons else [])], axis=0))
    elif polygons:
        image.add_polygons(label, polygons)
    else:
        for part in parts:
            box = sequence(part.get('bbox'), where)
            if len(box) != 4:
                raise LayoutError(f'{where}: bbox is {box}, not [x, y, width, height]')
            image.add_box(label, rounded(*(number(value, where, 'a side of bbox') for value in box)))


def _polygon(part: dict, where: str) -> list[float]:
    values = sequence(part.get('points'), where)
    if len(values) < 6 or len(values) % 2:
        raise LayoutError(f'{where}: a polygon of {len(values)} values; it has an even number from 6 on')
    return flat([[number(value, where, 'a coordinate')] for value in values])


def _mask(part: dict, image: LabelledImage, where: str) -> np.ndarray:
    rle = mapping(part.get('rle'), where)
    if image.size is None:
        raise LayoutError(f'{where}: a mask needs the size of its image')
    width, height = image.size
    if rle.get('size') != [height, width] or not isinstance(rle.get('counts'), (str, list)):
        raise LayoutError(f'{where}: run lengths of {rle.get("size")} for an image of {[height, width]}')
    try:
        readable: Any = readable_mask(rle, height, width)
    except MaskError as error:
        raise LayoutError(f'{where}: its run lengths cannot be decoded: {error}') from error
    if isinstance(readable['counts'], list):
        readable = rle_codec.frPyObjects(readable, height, width)
    return rle_codec.decode(readable).astype(bool)

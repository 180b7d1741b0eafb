"""CVAT's XML, for images and for videos: all images of a task in one file.

Polygons, masks and ellipses have masks, boxes are boxes; polygons and masks of one label and one group are the parts of
one object. Of a video's tracks each frame in which an object is seen has it, where the frames are there as images.
"""

import posixpath
import re
from collections import defaultdict
from xml.etree import ElementTree

import numpy as np

from swin_mmdet.datasets.layouts.errors import LayoutError, number, whole
from swin_mmdet.datasets.layouts.folder import DataFolder, split_of, stem
from swin_mmdet.datasets.layouts.labels import LabelledImage, Labels
from swin_mmdet.datasets.layouts.outlines import bitmap_of, box_of, ellipse, flat, placed, rectangle, turned

EXPECTS = "an XML file of <annotations> with <image>s or <track>s, as CVAT's 'CVAT for images' and 'for video'"
SHAPES = ('box', 'polygon', 'mask', 'ellipse')
NO_OBJECTS = ('polyline', 'points', 'skeleton', 'cuboid', 'tag')
IMAGES = ('', 'images', '..', '../images')


def recognise(folder: DataFolder) -> list[str]:
    return folder.of_xml_root('annotations')


def read(folder: DataFolder) -> Labels:
    trees = {file: folder.xml(file) for file in recognise(folder)}
    names = dict.fromkeys(name for tree in trees.values() for name in _classes(tree))
    labels = Labels(folder, names)
    for file, tree in trees.items():
        _read_images(labels, file, tree)
        if tree.find('track') is not None:
            _read_tracks(labels, file, tree)
    return labels


def _classes(tree: ElementTree.Element) -> list[str]:
    """In the order of the task; parts of skeletons are no classes."""
    found = [
        node.findtext('name', '').strip()
        for node in tree.findall('./meta//labels/label')
        if node.findtext('parent') is None and node.findtext('type', 'any') not in ('skeleton', 'points', 'tag')
    ]
    return [name for name in found if name]


def _read_images(labels: Labels, file: str, tree: ElementTree.Element) -> None:
    folder = labels.folder
    for node in tree.findall('image'):
        where = f'{folder.path(file)}, image {node.get("name")}'
        named = node.get('name') or ''
        found = folder.find_image(named, _near(file))
        size = whole(node.get('width'), where, 'width'), whole(node.get('height'), where, 'height')
        split = split_of(node.get('subset') or '') or split_of(named) or split_of(posixpath.dirname(found or file))
        _add_shapes(labels, labels.image(split, found, named, size), list(node), where)


def _read_tracks(labels: Labels, file: str, tree: ElementTree.Element) -> None:
    folder, path = labels.folder, labels.folder.path(file)
    original = tree.find('./meta//original_size')
    if original is None:
        raise LayoutError(f'{path}: tracks of a video without its original_size')
    width, height = (whole(original.findtext(side), str(path), side) for side in ('width', 'height'))
    frames = {}
    for name in folder.images:
        if counter := re.search(r'(\d+)$', stem(name)):
            frames.setdefault(int(counter[1]), []).append(name)
    shapes = defaultdict(list)
    for track in tree.findall('track'):
        for node in track:
            if node.get('outside') != '1':
                node.set('label', track.get('label') or '')
                shapes[whole(node.get('frame'), str(path), 'frame', 0, 10**9)].append(node)
    for frame, nodes in sorted(shapes.items()):
        found = frames.get(frame, [])
        if len(found) > 1:
            raise LayoutError(
                f'{path}: frame {frame} may be {" or ".join(found[:3])}; give each video a folder of its own'
            )
        image = labels.image(split_of(file), found[0] if found else None, f'frame_{frame:06d}', (width, height))
        _add_shapes(labels, image, nodes, f'{path}, frame {frame}')


def _near(file: str) -> list[str]:
    here = posixpath.dirname(file)
    return [posixpath.normpath(posixpath.join(here, base)) for base in IMAGES]


def _add_shapes(labels: Labels, image: LabelledImage, nodes: list[ElementTree.Element], where: str) -> None:
    groups: dict[tuple, list[ElementTree.Element]] = defaultdict(list)
    for index, node in enumerate(nodes):
        if node.tag in NO_OBJECTS:
            labels.leave_out(f'shapes that are {node.tag}')
        elif node.tag == 'box' or (node.tag in SHAPES and node.get('group_id', '0') == '0'):
            groups[node.get('label'), 'alone', index].append(node)
        elif node.tag in SHAPES:
            groups[node.get('label'), 'group', node.get('group_id')].append(node)
        else:
            raise LayoutError(f'{where}: a shape <{node.tag}>, which is not known; known are {", ".join(SHAPES)}')
    for (label, *_), shapes in groups.items():
        if not label:
            raise LayoutError(f'{where}: a shape without a label')
        if shapes[0].tag == 'box':
            image.add_box(label, _box(shapes[0], where))
            continue
        polygons = [_polygon(node, where) for node in shapes if node.tag != 'mask']
        masks = [_mask(node, image.known_size, where) for node in shapes if node.tag == 'mask']
        if masks:
            width, height = image.known_size
            image.add_bitmap(
                label, np.any([*masks, *([bitmap_of(polygons, height, width)] if polygons else [])], axis=0)
            )
        else:
            image.add_polygons(label, polygons)


def _value(node: ElementTree.Element, name: str, where: str) -> float:
    return number(node.get(name), where, f'{name} of a {node.tag}')


def _box(node: ElementTree.Element, where: str) -> list[float]:
    x1, y1, x2, y2 = (_value(node, name, where) for name in ('xtl', 'ytl', 'xbr', 'ybr'))
    degrees = number(node.get('rotation', 0), where, 'rotation')
    return box_of([flat(turned(rectangle(x1, y1, x2, y2), ((x1 + x2) / 2, (y1 + y2) / 2), degrees))])


def _polygon(node: ElementTree.Element, where: str) -> list[float]:
    if node.tag == 'ellipse':
        x, y, width, height = (_value(node, name, where) for name in ('cx', 'cy', 'rx', 'ry'))
        return flat(ellipse(x, y, width, height, number(node.get('rotation', 0), where, 'rotation')))
    pairs = [point.split(',') for point in (node.get('points') or '').split(';') if point]
    if len(pairs) < 3 or any(len(pair) != 2 for pair in pairs):
        raise LayoutError(f"{where}: a polygon has three points 'x,y;x,y;x,y' or more, not {node.get('points')!r}")
    return flat([[number(value, where, 'a coordinate') for value in pair] for pair in pairs])


def _mask(node: ElementTree.Element, size: tuple[int, int], where: str) -> np.ndarray:
    """Run lengths of rows, off and on in turns, of the part of the image that left, top, width and height say."""
    left, top = (whole(node.get(name), where, f'{name} of a mask', -(10**6)) for name in ('left', 'top'))
    width, height = (whole(node.get(name), where, f'{name} of a mask', 1, most)
                     for name, most in zip(('width', 'height'), size))  # fmt: skip
    runs = [whole(run, where, 'a run of a mask', 0, 10**9) for run in (node.get('rle') or '').split(',')]
    if sum(runs) != width * height:
        raise LayoutError(
            f'{where}: the runs of a mask have {sum(runs)} pixels, its part of the image {width * height}'
        )
    bits = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return placed(bits, left, top, size[1], size[0])

"""Pascal VOC: an XML file for each image with the boxes of its objects, splits in `ImageSets`.

Corners are edges of pixels counted from 0, as today's programs write them (LabelImg, CVAT, Roboflow); in the files of
the challenge itself, which say so, they are pixels counted from 1, the last ones included. Objects marked as difficult
become crowds: nothing is learnt from them and nothing measured on them, as in the challenge.
"""

import posixpath
from xml.etree import ElementTree

from swin_mmdet.datasets.layouts.errors import LayoutError, number, whole
from swin_mmdet.datasets.layouts.folder import DataFolder, split_of, stem
from swin_mmdet.datasets.layouts.labels import LabelledImage, Labels
from swin_mmdet.datasets.layouts.outlines import box_between, flat

EXPECTS = 'an XML file of <annotation> for each image'
IMAGES = ('', 'JPEGImages', 'images', '../JPEGImages', '../images', '..')


def recognise(folder: DataFolder) -> list[str]:
    return folder.of_xml_root('annotation')


def read(folder: DataFolder) -> Labels:
    labels, splits = Labels(folder), _splits(folder)
    for file in folder.beside(recognise(folder)):
        tree = folder.xml(file)
        if tree.tag != 'annotation':
            labels.leave_out('XML files that are no <annotation>')
            continue
        here = posixpath.dirname(file)
        near = [posixpath.normpath(posixpath.join(here, base)) for base in IMAGES]
        named = _text(tree, 'filename') or stem(file)
        found = folder.find_image(named, near) or folder.find_stem(stem(file), near)
        split = splits.get(stem(file), '') if splits else split_of(here) or split_of(posixpath.dirname(found or ''))
        if splits and not split:
            labels.leave_out('images that no list of ImageSets/Main has')
            continue
        image = labels.image(split, found, named, _size(tree, str(folder.path(file))))
        first = 1 if 'VOC' in (_text(tree, 'source/database') or '') else 0
        for index, item in enumerate(tree.findall('object'), 1):
            _add(image, item, first, f'{folder.path(file)}, object {index}', labels)
    return labels


def _splits(folder: DataFolder) -> dict[str, str]:
    """Name of an image -> split, by the lists of `ImageSets/Main`; those of single classes are not meant."""
    found = {}
    for name in folder.with_suffix('.txt'):
        parts, own = name.split('/'), stem(name)
        if 'ImageSets' not in parts[:-1] or 'Segmentation' in parts or own not in ('train', 'val', 'test'):
            continue
        for line in folder.text(name).splitlines():
            if line.strip():
                found[posixpath.basename(line.split()[0])] = own
    return found


def _size(tree: ElementTree.Element, where: str) -> tuple[int, int] | None:
    sides = [_text(tree, f'size/{side}') for side in ('width', 'height')]
    # 0 is written by programs that did not know it
    if any(side is None or side == '0' for side in sides):
        return None
    return whole(sides[0], where, 'width'), whole(sides[1], where, 'height')


def _add(image: LabelledImage, item: ElementTree.Element, first: int, where: str, labels: Labels) -> None:
    label = _text(item, 'name')
    if not label:
        raise LayoutError(f'{where}: it has no name of a class')
    polygon = item.find('polygon')
    if polygon is not None and len(polygon):
        image.add_polygons(label, [_polygon(polygon, where)])
        return
    box = item.find('bndbox')
    if box is None:
        labels.leave_out('objects without a box')
        return
    x1, y1, x2, y2 = (number(_text(box, side), where, side) for side in ('xmin', 'ymin', 'xmax', 'ymax'))
    if x2 < x1 or y2 < y1:
        raise LayoutError(f'{where}: xmax or ymax lies before xmin or ymin; correct the box')
    crowd = _text(item, 'difficult') == '1'
    image.add_box(label, box_between(x1 - first, y1 - first, x2, y2), crowd=crowd)
    if crowd:
        labels.notes = [note for note in labels.notes if note != DIFFICULT] + [DIFFICULT]


DIFFICULT = 'objects marked as difficult are kept as crowds: neither learnt nor measured'


def _polygon(node: ElementTree.Element, where: str) -> list[float]:
    """Roboflow's <polygon> of <x1>, <y1>, <x2>, ..."""
    values = {child.tag: number(child.text, where, child.tag) for child in node}
    corners = len(values) // 2
    if corners < 3 or set(values) != {f'{axis}{i}' for axis in 'xy' for i in range(1, corners + 1)}:
        raise LayoutError(
            f'{where}: its polygon has {len(values)} values, not x1, y1, x2, ... of three corners or more'
        )
    return flat([(values[f'x{i}'], values[f'y{i}']) for i in range(1, corners + 1)])


def _text(node: ElementTree.Element, path: str) -> str | None:
    found = node.findtext(path)
    return found.strip() if found is not None else None

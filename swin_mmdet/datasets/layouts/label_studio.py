"""Label Studio's own JSON and its short form (JSON-MIN): a list of tasks, with shapes in percent of the image.

Polygons and ellipses have masks, rectangles are boxes. Strokes of a brush are in a code of Label Studio's own, which
its COCO export turns into masks.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable
from urllib.parse import parse_qs, unquote, urlsplit

from swin_mmdet.datasets.layouts.errors import LayoutError, mapping, number, sequence, whole
from swin_mmdet.datasets.layouts.folder import IMAGE_SUFFIXES, DataFolder, split_of, suffix
from swin_mmdet.datasets.layouts.labels import LabelledImage, Labels
from swin_mmdet.datasets.layouts.outlines import box_of, ellipse, flat, rectangle, turned

EXPECTS = 'a JSON file with the list of tasks of a Label Studio export'
LABELS = ('rectanglelabels', 'polygonlabels', 'ellipselabels', 'brushlabels', 'keypointlabels', 'labels')
SHAPES = ('rectangle', 'polygon', 'ellipse')
UPLOADED = re.compile(r'^[0-9a-f]{8}-')  # before the names of uploaded files
IMAGES = ('', 'images', '..')


def recognise(folder: DataFolder) -> list[str]:
    return folder.of_json_kind('Label Studio')


def read(folder: DataFolder) -> Labels:
    labels = Labels(folder)
    for file in recognise(folder):
        for index, task in enumerate(sequence(folder.json(file), str(folder.path(file))), 1):
            where = f'{folder.path(file)}, task {index}'
            _read_task(labels, file, mapping(task, where), where)
    return labels


def _read_task(labels: Labels, file: str, task: dict, where: str) -> None:
    results = _results(task, labels, where)
    if results is None:
        labels.leave_out('tasks without an annotation')
        return
    named = _image_name(task, where)
    found = _find(labels.folder, named, file)
    sizes = {
        (_side(one, 'original_width', where), _side(one, 'original_height', where))
        for one in results
        if one.get('original_width')
    }
    if len(sizes) > 1:
        raise LayoutError(f'{where}: results for images of several sizes: {sorted(sizes)}')
    size = sizes.pop() if sizes else None
    split = split_of(posixpath.dirname(found or '')) or split_of(posixpath.basename(file))
    image = labels.image(split, found, named, size)
    # a label that was chosen for a shape of its own stands in a result of the same id
    parts: dict[str, list[dict]] = defaultdict(list)
    for index, one in enumerate(results):
        parts[str(one.get('id') or index)].append(one)
    for shape in parts.values():
        _add_shape(labels, image, shape, where)


def _results(task: dict, labels: Labels, where: str) -> list[dict] | None:
    """The results of the annotation that counts: the first that was not cancelled; those of the short form."""
    if 'data' not in task:
        lists = [value for value in task.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
        return [{**one, 'value': one} for values in lists for one in values if 'original_width' in one]
    done = [mapping(one, where) for one in sequence(task.get('annotations', task.get('completions')), where)]
    done = [one for one in done if not one.get('was_cancelled')]
    if not done:
        return None
    if len(done) > 1:
        labels.leave_out('second and later annotations of a task', len(done) - 1)
    return [mapping(one, where) for one in sequence(done[0].get('result'), where)]


def _image_name(task: dict, where: str) -> str:
    """Of the task's data, the first that names an image."""
    for value in mapping(task.get('data', task), where).values():
        name = _plain(value) if isinstance(value, str) else ''
        if suffix(name) in IMAGE_SUFFIXES:
            return name
    raise LayoutError(f'{where}: nothing in its data names an image')


def _plain(address: str) -> str:
    """The path in an address, such as /data/local-files/?d=images/1.jpg."""
    parts = urlsplit(address)
    inner = parse_qs(parts.query).get('d')
    return inner[0] if inner else unquote(parts.path)


def _find(folder: DataFolder, name: str, file: str) -> str | None:
    near = [posixpath.normpath(posixpath.join(posixpath.dirname(file), base)) for base in IMAGES]
    base = UPLOADED.sub('', posixpath.basename(name))
    return folder.find_image(name, near) or folder.find_image(posixpath.join(posixpath.dirname(name), base), near)


def _add_shape(labels: Labels, image: LabelledImage, parts: list[dict], where: str) -> None:
    values = {key: value for part in parts for key, value in mapping(part.get('value'), where).items()}
    names = next((values[key] for key in LABELS if values.get(key)), None)
    kinds = {str(part.get('type') or '').removesuffix('labels') for part in parts} - {''}
    kind = next((kind for kind in SHAPES if kind in kinds), None) or _kind_of(values)
    if kind is None:
        if 'rle' in values:
            raise LayoutError(f'{where}: strokes of a brush; export the project as COCO with images instead')
        labels.leave_out('results that are no shapes of an object, such as points and choices')
        return
    if not isinstance(names, list) or not names:
        labels.leave_out('shapes without a label')
        return
    if len(names) > 1:
        raise LayoutError(f'{where}: a shape with {len(names)} labels, {names}; an object has one class')
    if image.size is None:
        raise LayoutError(f'{where}: a shape without original_width and original_height')
    _draw(image, str(names[0]), kind, values, where)


def _side(result: dict, name: str, where: str) -> int:
    return whole(result.get(name), where, name)


def _kind_of(values: dict) -> str | None:
    """Of the short form, which does not say it."""
    marks = {'polygon': 'points', 'ellipse': 'radiusX', 'rectangle': 'width'}
    return next((kind for kind, key in marks.items() if key in values), None)


def _draw(image: LabelledImage, label: str, kind: str, values: dict, where: str) -> None:
    x_unit, y_unit = (side / 100 for side in image.known_size)
    if kind == 'polygon':
        points = sequence(values.get('points'), where)
        if len(points) < 3 or not all(isinstance(point, list) and len(point) == 2 for point in points):
            raise LayoutError(f'{where}: a polygon has three points [x, y] or more')
        points = [[number(value, where, 'a coordinate') for value in point] for point in points]
        image.add_polygons(label, [flat([(x * x_unit, y * y_unit) for x, y in points])])
        return
    keys: Iterable[str] = ('x', 'y', 'width', 'height') if kind == 'rectangle' else ('x', 'y', 'radiusX', 'radiusY')
    x, y, w, h = (number(values.get(key), where, key) * unit for key, unit in zip(keys, (x_unit, y_unit) * 2))
    degrees = number(values.get('rotation') or 0, where, 'rotation')
    if kind == 'ellipse':
        image.add_polygons(label, [flat(ellipse(x, y, w, h, degrees))])
    else:  # turned around its first corner
        image.add_box(label, box_of([flat(turned(rectangle(x, y, x + w, y + h), (x, y), degrees))]))

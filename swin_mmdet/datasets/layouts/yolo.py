"""YOLO: a text file for each image with a line for each object, a class and its box or outline as shares of the image.

As Ultralytics, Roboflow, Label Studio and CVAT (`obj.names`) write them: images under `images` with labels under
`labels`, or both in one folder; splits and names of classes in `data.yaml`, or names in `classes.txt`.
"""

import posixpath
from collections.abc import Iterable

from swin_mmdet.datasets.layouts.errors import LayoutError, number
from swin_mmdet.datasets.layouts.folder import DataFolder, split_of, suffix
from swin_mmdet.datasets.layouts.labels import LabelledImage, Labels, sizes_of
from swin_mmdet.datasets.layouts.outlines import box_between, flat
from swin_mmdet.datasets.problems import some

EXPECTS = "text files with 'class x y w h' or 'class x y x y ...' for the images, and data.yaml or classes.txt"
NAMES = ('classes.txt', 'obj.names', 'classes.names', 'predefined_classes.txt')
NO_LABELS = (*NAMES, 'requirements.txt')
LOOKED_INTO = 20
# by how much rounding leads out of the image, as a share of it
BEYOND = 0.01


def recognise(folder: DataFolder) -> list[str]:
    """Files of labels; a data.yaml alone does not make a data set."""
    found, looked = [], 0
    for name in folder.with_suffix('.txt'):
        if looked == LOOKED_INTO or found:
            break
        if posixpath.basename(name) not in NO_LABELS and _image_of(folder, name):
            looked += 1
            found += [name] if _is_labels(folder, name) else []
    return found


def read(folder: DataFolder) -> Labels:
    settings = _settings(folder)
    labels = Labels(folder, _names(folder, settings))
    keypoints = _values_of_keypoints(folder, settings)
    splits = _listed(folder, settings) if settings else _by_folders(folder)
    for split, images in splits.items():
        _read_split(folder, labels, split, images, keypoints)
    return labels


def _read_split(folder: DataFolder, labels: Labels, split: str, images: list[str], keypoints: int) -> None:
    files = [_label_file(folder, image) for image in images]
    if not any(files):
        raise LayoutError(
            f'{folder.root}: none of the {len(images)} images of {split or "the folder"} has a file of labels, such as '
            f'{_candidates(images[0])[0]} for {images[0]}; put the labels there'
        )
    without = files.count(None)
    if without:
        labels.notes.append(f'{without} of {len(images)} images of {split or "the folder"} have no file of labels: '
                            'read as images without objects')  # fmt: skip
    for image, file, size in zip(images, files, sizes_of(folder, images), strict=True):
        target = labels.image(split, image, image, size)
        if file:
            _read_file(folder, file, target, labels.classes, keypoints)


def _read_file(folder: DataFolder, file: str, image: LabelledImage, classes: list[str], keypoints: int) -> None:
    for row, line in enumerate(folder.text(file).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        where = f'{folder.path(file)}, line {row}'
        values = [number(word, where, 'a value') for word in words]
        index = int(values[0])
        if values[0] != index or not 0 <= index < len(classes):
            raise LayoutError(f'{where}: class {words[0]}, but there are {len(classes)}, 0 to {len(classes) - 1}: '
                              f'{some(classes)}; correct the label or the list of names')  # fmt: skip
        if keypoints and len(values) == 5 + keypoints:
            values = values[:5]
        _add(image, classes[index], values[1:], where)


def _add(image: LabelledImage, label: str, values: list[float], where: str) -> None:
    width, height = image.known_size
    if len(values) == 5:
        raise LayoutError(f'{where}: 6 values are a box with a confidence, as predictions have it; labels have 5')
    if len(values) < 4 or len(values) % 2:
        raise LayoutError(f'{where}: {len(values) + 1} values; a box has 5, an outline an odd number from 7 on')
    if not all(-BEYOND <= value <= 1 + BEYOND for value in values):
        farthest = max(values, key=lambda value: abs(value - 0.5))
        raise LayoutError(f'{where}: {farthest:g} is no share of the image, of which 1 is the whole; '
                          'divide pixels by width and height')  # fmt: skip
    if len(values) == 4:
        x, y, w, h = values
        if w < 0 or h < 0:
            raise LayoutError(f'{where}: a box of negative width or height; correct it')
        # what rounding puts beyond the border is cut off
        left, right = (min(max(side, 0), 1) * width for side in (x - w / 2, x + w / 2))
        top, bottom = (min(max(side, 0), 1) * height for side in (y - h / 2, y + h / 2))
        image.add_box(label, box_between(left, top, right, bottom))
    else:
        values = [min(max(value, 0), 1) for value in values]
        image.add_polygons(label, [flat([(x * width, y * height) for x, y in zip(values[0::2], values[1::2])])])


def _settings(folder: DataFolder) -> tuple[str, dict] | None:
    """The YAML file that lists classes, with its name."""
    found = []
    for name in folder.with_suffix('.yaml', '.yml'):
        content = folder.yaml(name)
        if isinstance(content, dict) and isinstance(content.get('names'), (list, dict)):
            found.append((name, content))
    if len(found) > 1:
        raise LayoutError(f'{folder.root}: several files list classes: {some([name for name, _ in found])}; '
                          'leave the one that counts, or name the folder it is in')  # fmt: skip
    return found[0] if found else None


def _names(folder: DataFolder, settings: tuple[str, dict] | None) -> list[str]:
    if settings is None:
        files = [name for name in folder.files if posixpath.basename(name) in NAMES]
        lists = {tuple(line.strip() for line in folder.text(name).splitlines() if line.strip()) for name in files}
        if len(lists) == 1:
            return list(lists.pop())
        what = f'{some(files)} list different classes' if lists else 'nothing says the names of the classes'
        raise LayoutError(f"{folder.root}: YOLO's labels have numbers, and {what}; write data.yaml with "
                          "'names: [first, second]', or classes.txt with a name a line")  # fmt: skip
    file, content = settings
    names = content['names']
    if isinstance(names, dict):
        order = sorted(names, key=lambda key: number(key, str(folder.path(file)), 'a key of names'))
        if [int(key) for key in order] != list(range(len(order))):
            raise LayoutError(f'{folder.path(file)}: names have the numbers {some(order)}; count from 0, without gaps')
        names = [names[key] for key in order]
    if content.get('nc', len(names)) != len(names):
        raise LayoutError(f'{folder.path(file)}: nc is {content["nc"]}, and there are {len(names)} names; correct one')
    return [str(name) for name in names]


def _values_of_keypoints(folder: DataFolder, settings: tuple[str, dict] | None) -> int:
    """How many values of key points follow a box."""
    shape = settings[1].get('kpt_shape') if settings else None
    if settings is None or not shape:
        return 0
    if not (isinstance(shape, list) and len(shape) == 2 and all(isinstance(one, int) for one in shape)):
        raise LayoutError(
            f'{folder.path(settings[0])}: kpt_shape is {shape!r}; it has a number of points and of values'
        )
    return shape[0] * shape[1]


def _listed(folder: DataFolder, settings: tuple[str, dict]) -> dict[str, list[str]]:
    """The images of each split that the YAML file names, or by their folders where it names none."""
    file, content = settings
    found = {}
    for split in ('train', 'val', 'test'):
        sources = content.get(split) or (content.get('valid') if split == 'val' else None)
        sources = sources if isinstance(sources, list) else [sources] if sources else []
        images = dict.fromkeys(image for source in sources for image in _images_of(folder, file, content, str(source)))
        # what programs write for a split that is not there
        if images:
            found[split] = list(images)
        elif split == 'train' and sources:
            raise LayoutError(f'{folder.path(file)}: {split} is {some(sources)}, where {folder.root} has no images; '
                              'correct it, or name the folder that it is in')  # fmt: skip
    return found or _by_folders(folder)


def _images_of(folder: DataFolder, file: str, content: dict, source: str) -> Iterable[str]:
    """The images of a folder or of a file that lists them, of which only those in the data's own folder are read."""
    for path in _places(folder, posixpath.dirname(file), str(content.get('path') or ''), source):
        if path in folder.folders and folder.images_under(path):
            return folder.images_under(path)
        if path in folder.present and suffix(path) == '.txt':
            lines = [line.strip() for line in folder.text(path).splitlines() if line.strip()]
            near = [posixpath.dirname(path), posixpath.dirname(file), '']
            found = [folder.find_image(line, near) for line in lines]
            missing = [line for line, image in zip(lines, found) if image is None]
            if missing:
                raise LayoutError(f'{folder.path(path)}: {len(missing)} of {len(lines)} images are not in '
                                  f'{folder.root}: {some(missing, 3)}; correct the list')  # fmt: skip
            return [image for image in found if image is not None]
    return []


def _places(folder: DataFolder, here: str, root: str, source: str) -> Iterable[str]:
    """Where a path may lie: as written, without the steps up that Roboflow writes, by its last parts."""
    bases = [folder.inside(root, here), here] if root else [here]
    parts = [part for part in source.replace('\\', '/').split('/') if part not in ('', '.', '..')]
    for base in bases:
        if base is not None:
            yield from (path for path in [folder.inside(source, base)] if path is not None)
    for start in range(len(parts)):
        yield posixpath.normpath(posixpath.join(here, *parts[start:]))


def _by_folders(folder: DataFolder) -> dict[str, list[str]]:
    found = {}
    for image in folder.images:
        found.setdefault(split_of(posixpath.dirname(image)), []).append(image)
    return found


def _label_file(folder: DataFolder, image: str) -> str | None:
    return next((name for name in _candidates(image) if name in folder.present), None)


def _candidates(image: str) -> list[str]:
    """The labels of an image: `labels` for the last `images` of its path, or beside it, or in `labels` beside it."""
    here, base = posixpath.split(posixpath.splitext(image)[0] + '.txt')
    parts = here.split('/')
    found = []
    if 'images' in parts:
        last = len(parts) - 1 - parts[::-1].index('images')
        found.append('/'.join([*parts[:last], 'labels', *parts[last + 1 :], base]))
    above = posixpath.dirname(here)
    found += [posixpath.join(here, base), posixpath.join(here, 'labels', base), posixpath.join(above, 'labels', base)]
    return [*found, posixpath.join('labels', here, base)]


def _image_of(folder: DataFolder, name: str) -> bool:
    """Whether a text file has the name of an image."""
    return bool(folder.stems.get(posixpath.splitext(posixpath.basename(name))[0]))


def _is_labels(folder: DataFolder, name: str) -> bool:
    try:
        lines = [line.split() for line in folder.text(name).splitlines() if line.strip()]
        return bool(lines) and all(len(line) >= 5 and [float(word) for word in line] for line in lines[:10])
    except ValueError:
        return False

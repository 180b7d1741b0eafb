"""Annotation files that are something else, and file names that lead elsewhere."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from functools import partial

from .case import accepted, refused
from .data import Data


def raw(content: bytes | Callable[[Data], bytes]) -> Callable[[Data], object]:
    """In the place of the annotations of the training."""

    def spoil(data: Data) -> None:
        data.raw['train'] = content(data) if callable(content) else content

    return spoil


def text(data: Data) -> str:
    return json.dumps(data.train)


def encoded(encoding: str) -> Callable[[Data], object]:
    return raw(lambda data: json.dumps(data.train | {'info': 'caf\u00e9'}, ensure_ascii=False).encode(encoding))


def foreign(value: object) -> Callable[[Data], object]:
    return raw(json.dumps(value).encode())


def named(name: str | Callable[[Data, str], str]) -> Callable[[Data], object]:
    """The second image's file name."""

    def spoil(data: Data) -> None:
        image = data.train['images'][1]
        image['file_name'] = name(data, image['file_name']) if callable(name) else name

    return spoil


def outside(data: Data, name: str, *, absolute: bool = False, depth: str = '..') -> str:
    """The image moved out of its folder."""
    target = data.folder.parent / f'{data.folder.name}-secret.jpg' if absolute else data.folder / name
    shutil.move(data.image('train', name), target)
    return str(target) if absolute else f'{depth}/{name}'


def in_folder(data: Data, name: str) -> str:
    data.image('train', 'sub').mkdir()
    shutil.move(data.image('train', name), data.image('train', f'sub/{name}'))
    return f'sub/{name}'


def linked(data: Data) -> None:
    target = data.folder / 'elsewhere.jpg'
    shutil.move(data.image(), target)
    os.symlink(target, data.image())


def renamed_in(change: Callable[[str], str]) -> Callable[[dict], dict]:
    return lambda seen: {change(name): objects for name, objects in seen.items()}


def second(new: str, name: str) -> str:
    return new if name == '0002.jpg' else name


FILES = [
    refused('files', 'a byte order mark', encoded('utf-8-sig'), 'BOM'),
    refused('files', 'utf-16', encoded('utf-16'), 'UTF-16'),
    refused('files', 'utf-16 without its mark', encoded('utf-16-le'), 'UTF-16'),
    refused('files', 'latin-1', encoded('latin-1'), 'not UTF-8'),
    refused('files', 'nesting without end', raw(b'[' * 200_000), 'nested|JSON'),
    refused('files', 'nesting in annotations', raw(b'{"annotations": ' + b'[' * 200_000), 'nested|JSON'),
    refused('files', 'empty', raw(b''), 'empty'),
    refused('files', 'cut', raw(lambda data: text(data).encode()[:-400]), 'cut off'),
    refused('files', 'cut in a word', raw(lambda data: text(data).encode()[:300]), 'cut off|JSON'),
    refused('files', 'two objects', raw(lambda data: text(data).encode() * 2), 'JSON'),
    refused('files', 'single quotes', raw(lambda data: str(data.train).encode()), 'JSON'),
    refused('files', 'a comma too many', raw(lambda data: text(data)[:-1].encode() + b',}'), 'JSON'),
    refused('files', 'gzip', raw(lambda data: gzip.compress(text(data).encode())), 'gzip'),
    refused('files', 'xml', raw(b'<annotation><filename>a.jpg</filename></annotation>'), 'XML'),
    refused('files', 'git lfs', raw(b'version https://git-lfs.github.com/spec/v1\n'), 'git lfs'),
    refused('files', 'a number beyond all digits', raw(b'{"images": ' + b'9' * 5000 + b'}'), 'JSON'),
    refused('files', 'results', foreign([{'image_id': 1, 'category_id': 3, 'bbox': [1, 2, 3, 4], 'score': 0.5}]),
            'list of detections'),
    refused('files', 'annotations alone', foreign([{'image_id': 1, 'category_id': 3, 'bbox': [1, 2, 3, 4]}]),
            'annotations alone'),
    refused('files', 'label studio', foreign([{'data': {'image': 'a.jpg'}, 'annotations': []}]), 'Label Studio'),
    refused('files', 'labelme', foreign({'shapes': [], 'imagePath': 'a.jpg', 'imageData': None}), 'LabelMe'),
    refused('files', 'geojson', foreign({'type': 'FeatureCollection', 'features': []}), 'GeoJSON'),
    refused('files', 'via', foreign({'a.jpg12': {'filename': 'a.jpg', 'regions': []}}), 'VIA'),
    refused('files', 'panoptic', lambda data: [ann.update(segments_info=[]) or ann.pop('bbox') for ann in data.anns],
            "'bbox'|panoptic"),
    refused('files', 'null', raw(b'null'), 'no COCO annotation file'),
    refused('files', 'text', raw(b'"annotations"'), 'no COCO annotation file'),
    refused('files', 'images as an object', lambda data: data.train.update(
        images={str(image['id']): image for image in data.train['images']}), "'images' is no list"),
    refused('files', 'annotations as null', lambda data: data.train.update(annotations=None),
            "'annotations' is no list"),
    refused('files', 'an annotation that is a number', lambda data: data.anns.append(7), "'annotations' is no list"),
    refused('files', 'no images', lambda data: data.train.update(images=[], annotations=[]), 'no images'),
    refused('files', 'no annotations', lambda data: data.train.update(annotations=[]), 'no annotations'),
    refused('files', 'images twice', raw(lambda data: text(data)[:-1].encode() + b', "images": []}'), 'twice'),
    refused('files', 'a folder in its place', lambda data: (data.raw.update(train=b''), data.settings.update(
        folder_for_file=True)), 'no such file|no train annotations|none for training'),
    accepted('files', 'indented', raw(lambda data: json.dumps(data.train, indent=1).encode())),
    accepted('files', 'with a line at its end', raw(lambda data: text(data).encode() + b'\n\n')),
    accepted('files', 'accents in utf-8', encoded('utf-8')),
]  # fmt: skip
PATHS = [
    refused('paths', 'a parent', named(outside), 'lead out of'),
    refused('paths', 'a parent, by way of a folder', named(partial(outside, depth='sub/../..')), 'lead out of'),
    refused('paths', 'an absolute path', named(partial(outside, absolute=True)), 'lead out of'),
    refused('paths', 'a system file', named('/etc/hostname'), 'lead out of'),
    refused('paths', "a drive of Windows'", named('C:\\data\\0002.jpg'), 'lead out of.*there is 0002.jpg'),
    refused('paths', 'a share', named('\\\\server\\share\\0002.jpg'), 'lead out of'),
    refused('paths', 'an address', named('https://example.org/0002.jpg'), 'lead out of'),
    refused('paths', 'a parent with backslashes', named('..\\0002.jpg'), 'lead out of'),
    refused('paths', 'many parents', named('../../../../../../etc/passwd'), 'lead out of'),
    refused('paths', 'a zero in the name', named('0002\0.jpg'), 'lead out of|not in'),
    refused('paths', 'a file that is not there', named('nowhere.jpg'), r'nowhere\.jpg'),
    refused('paths', 'another case', named('0002.JPG'), 'capital letters'),
    refused('paths', 'an address within a name', named('my%20dog.jpg'), r'my%20dog\.jpg'),
    refused('paths', 'the folder before the name', named('train2017/0002.jpg'), 'train2017'),
    refused('paths', 'no name', named(''), "'file_name'"),
    refused('paths', 'a name that is a number', named(lambda *_: 2), "'file_name'"),
    accepted('paths', 'a folder within', named(in_folder), sees=renamed_in(partial(second, 'sub/0002.jpg'))),
    refused('paths', 'a parent of a folder that is not there', named('sub/../0002.jpg'), 'images are not in'),
    accepted('paths', 'a dot', named('./0002.jpg'), sees=None),
    accepted('paths', 'an absolute path within', named(lambda data, name: str(data.image('train', name).resolve())),
             sees=None),
    accepted('paths', 'a link', linked),
    accepted('paths', 'two dots in a name', named(lambda data, name: str(
        data.image('train', name).rename(data.image('train', '0002..jpg')).name)),
        sees=renamed_in(partial(second, '0002..jpg'))),
]  # fmt: skip
CASES = FILES + PATHS

"""The JSON of an annotation file, or one sentence that says what is there instead."""

import json
from pathlib import Path

from swin_mmdet.datasets.text_encoding import encoding_of
from swin_mmdet.errors import UserError

MAGIC = (
    (b'\x1f\x8b', 'it is compressed (gzip): unpack it'),
    (b'PK\x03\x04', 'it is a zip archive: unpack it'),
    (b'\x80', 'it is a pickle, not text'),
    (b'<', 'it begins with <, as XML and HTML do'),
    (b'version https://git-lfs', 'it is a pointer of Git LFS: fetch the file itself with `git lfs pull`'),
)
LISTS = 'images', 'annotations', 'categories'


class CocoFileError(UserError, ValueError):
    """The file cannot be read as COCO annotations."""


def read_json(path: Path, *, repair: bool = False) -> dict:
    """The object in a file, with lists of objects as its 'images', 'categories' and 'annotations'.

    repair: read UTF-16 and a byte order mark as well, which the loader of mmdet does not.

    Raises:
        CocoFileError: something else; says what it is, where that can be told.
    """
    try:
        data = _parsed(path, path.read_bytes(), repair)
    except (OSError, MemoryError) as error:
        raise CocoFileError(f'{path} cannot be read: {error}') from error
    if not isinstance(data, dict):
        kind = foreign_kind(data) or f'it holds a {type(data).__name__}, not an object'
        raise CocoFileError(f'{path} is no COCO annotation file: {kind}')
    data.setdefault('annotations', [])  # files of test images have none
    for key in ('images', 'categories', 'annotations'):
        items = data.get(key)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            kind = foreign_kind(data)
            kind = f'; {kind}' if kind else ''
            raise CocoFileError(f"{path} is no COCO annotation file: '{key}' is no list of objects{kind}")
    return data


def _parsed(path: Path, content: bytes, repair: bool) -> object:
    text = _text(path, content, repair)
    try:
        if any(text.count(f'"{key}"') > 1 for key in LISTS):
            return json.loads(text, object_pairs_hook=lambda pairs: _object(path, pairs))
        return _quickly(text)
    except RecursionError as error:
        raise CocoFileError(f'{path} is not valid JSON: it is nested without end') from error
    except CocoFileError:
        raise
    except ValueError as error:
        end = getattr(error, 'pos', None)
        cut = (end is not None and end >= len(text.rstrip()) - 1) or 'Unterminated string' in str(error)
        hint = '; it ends in the middle, as if cut off: copy or export it again' if cut else ''
        raise CocoFileError(f'{path} is not valid JSON: {error}{hint}') from error


def _quickly(text: str) -> object:
    """By msgspec, which takes a quarter of the time and reads the same; what it refuses, Python's reader judges."""
    try:
        import msgspec
    except ImportError:
        return json.loads(text)
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return json.loads(text)


def _text(path: Path, content: bytes, repair: bool) -> str:
    start = content.lstrip()[:64]
    if not start:
        raise CocoFileError(f'{path} is not valid JSON: the file is empty')
    for mark, what in MAGIC:
        if start.startswith(mark):
            raise CocoFileError(f'{path} is not valid JSON: {what}')
    encoding = encoding_of(content)
    if encoding == 'utf-8-sig':
        if not repair:
            remedy = 'save it as UTF-8 without a byte order mark'
            raise CocoFileError(f'{path} is not valid JSON for the loader: it begins with a UTF-8 BOM; {remedy}')
        return content.decode('utf-8-sig', 'replace')
    if encoding != 'utf-8' and not repair:
        raise CocoFileError(f'{path} is not valid JSON for the loader: its text is UTF-16; save it as UTF-8')
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != 'utf-8':
            raise CocoFileError(f'{path} is not valid JSON: its text is neither UTF-8 nor UTF-16') from error
        what = f'its text is not UTF-8 (byte {error.start} is {content[error.start]:#x}); save it as UTF-8'
        raise CocoFileError(f'{path} is not valid JSON: {what}') from error


def _object(path: Path, pairs: list[tuple[str, object]]) -> dict:
    """Of two keys of one name, Python keeps the last and says nothing."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1} & set(LISTS))
        if twice:
            raise CocoFileError(f"{path} has '{twice[0]}' twice, of which all but the last would be lost: merge them")
    return made


def foreign_kind(data: object) -> str:
    """What JSON that is no COCO annotation file seems to be, '' where that is unknown."""
    first = data[0] if isinstance(data, list) and data else {}
    if isinstance(first, dict):
        if {'image_id', 'category_id', 'score'} <= first.keys():
            return 'it is a list of detections, the result of a model'
        if {'image_id', 'category_id'} <= first.keys():
            return "it is a list of annotations alone, without 'images' and 'categories'"
        if 'data' in first and ('annotations' in first or 'completions' in first):
            return 'it is an export of Label Studio: export as COCO'
        if 'Label' in first and 'External ID' in first:
            return 'it is an export of Labelbox: export as COCO'
        if 'image' in first and 'annotations' in first:
            return 'it is in the format of CreateML: export as COCO'
    if not isinstance(data, dict):
        return ''
    annotations = data.get('annotations')
    ann = annotations[0] if isinstance(annotations, list) and annotations and isinstance(annotations[0], dict) else {}
    if 'segments_info' in ann:
        return 'it has panoptic annotations, not instances'
    if 'caption' in ann:
        return 'it has captions, not instances'
    if 'shapes' in data and 'imagePath' in data:
        return 'it is one image of LabelMe: convert the folder'
    if data.get('type') in ('FeatureCollection', 'Feature'):
        return 'it is GeoJSON, in coordinates of a map'
    if '_via_img_metadata' in data or '_via_settings' in data:
        return 'it is a project of VIA: export annotations as COCO'
    images = [value for value in data.values() if value != []]
    if images and all(isinstance(value, dict) and 'regions' in value for value in images):
        return 'it is an export of VIA: export annotations as COCO'
    if 'videos' in data:
        return 'it has annotations of videos'
    if 'images' not in data and isinstance(data.get('annotations'), dict):
        return 'it is an index of annotations, not a list'
    return ''

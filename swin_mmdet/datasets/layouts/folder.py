"""A folder of data, listed once: its files, what those of JSON and XML hold, images by the names in annotations."""

import json
import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from swin_mmdet.datasets.layouts.errors import LayoutError
from swin_mmdet.datasets.problems import some
from swin_mmdet.datasets.text_encoding import encoding_of

IMAGE_SUFFIXES = frozenset({
    '.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.dib', '.tif', '.tiff', '.webp', '.jp2', '.ppm', '.pgm', '.pnm',
    '.gif', '.avif', '.heic',
})  # fmt: skip
SPLITS = {
    'train': ('train', 'training', 'trainset', 'train2017', 'train2014'),
    'val': ('val', 'valid', 'validation', 'valset', 'val2017', 'val2014'),
    'test': ('test', 'testing', 'testset', 'test2017', 'test2014'),
}
SPLIT_OF = {word: split for split, words in SPLITS.items() for word in words}
LOOKED_INTO = 20  # JSON and XML files of one folder, to see what they are
NO_JSON, NO_XML = 'no valid JSON', 'no valid XML'
MOST_BYTES = 2 << 30  # of a file of annotations


class DataFolder:
    """The files under `root`, as posix paths relative to it; hidden ones and what archives of macOS add are left out.

    Links that lie in it are followed, for they are the user's own.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(os.path.abspath(root))
        if not self.root.is_dir():
            raise LayoutError(f'no such folder: {root}')
        self.files: list[str] = sorted(self._walk())
        self.present = frozenset(self.files)
        self._images = [name for name in self.files if suffix(name) in IMAGE_SUFFIXES]

    def _walk(self) -> Iterable[str]:
        seen = set()
        for here, folders, files in os.walk(self.root, followlinks=True):
            real = os.path.realpath(here)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith(('.', '__MACOSX')))
            inner = Path(here).relative_to(self.root).as_posix()
            for name in files:
                if not name.startswith('.'):
                    yield posixpath.normpath(posixpath.join(inner, name))

    @property
    def images(self) -> list[str]:
        return self._images

    @cached_property
    def folders(self) -> frozenset[str]:
        """Every folder that holds a file, also further down; '.' is the root."""
        found = set()
        for name in self.files:
            while (name := posixpath.dirname(name)) not in found:
                found.add(name)
                if not name:
                    break
        return frozenset(name or '.' for name in found)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for name in self._images:
            found[posixpath.basename(name)].append(name)
        return found

    @cached_property
    def stems(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        for name in self._images:
            found[stem(name)].append(name)
        return found

    def with_suffix(self, *suffixes: str) -> list[str]:
        return [name for name in self.files if suffix(name) in suffixes]

    def path(self, name: str) -> Path:
        return self.root / name

    def images_under(self, folder: str) -> list[str]:
        folder = posixpath.normpath(folder)
        return self._images if folder == '.' else [name for name in self._images if name.startswith(folder + '/')]

    def inside(self, name: str, base: str = '') -> str | None:
        """A path that a file of `base` gives, relative to the root; None where it leads out of it."""
        name = name.strip().replace('\\', '/')
        root = self.root.as_posix()
        if name.startswith(root + '/'):
            name, base = name[len(root) + 1 :], ''
        path = posixpath.normpath(posixpath.join(base, name))
        return None if path.startswith(('/', '../')) or path == '..' else path

    def find_image(self, name: str, near: Iterable[str] = ()) -> str | None:
        """The image that annotations name, sought in the folders `near` and then, by its last parts, in all of them.

        Nothing outside of the root is looked at: of a name that leads there the last part alone counts. None if there
        is no such image.

        Raises:
            LayoutError: several fit equally well.
        """
        near = list(near)
        for base in near:
            path = self.inside(name, base)
            if path in self.present:
                return path
        parts = [part for part in name.strip().replace('\\', '/').split('/') if part not in ('', '.', '..')]
        return self._nearest(self._by_name.get(parts[-1], ()), parts, name, near) if parts else None

    def find_stem(self, name: str, near: Iterable[str] = ()) -> str | None:
        """The image of this name without its suffix, in the same way."""
        parts = name.split('/')
        return self._nearest(self.stems.get(parts[-1], ()), parts, name, list(near), by=stem)

    def _nearest(self, found, parts: list[str], name: str, near: list[str], by=posixpath.basename) -> str | None:
        if len(found) < 2:
            return found[0] if found else None

        def agreement(path: str) -> tuple[int, int]:
            """How many last parts are those of the name; how many first ones those of a folder nearby."""
            own = [*path.split('/')[:-1], by(path)]
            tail = next((i for i, (a, b) in enumerate(zip(reversed(own), reversed(parts))) if a != b),
                        min(len(own), len(parts)))  # fmt: skip
            head = max((len(posixpath.commonpath([path, base]).split('/')) if posixpath.commonpath([path, base]) else 0
                        for base in near), default=0)  # fmt: skip
            return tail, head

        best = max(map(agreement, found))
        found = [path for path in found if agreement(path) == best]
        if len(found) > 1:
            raise LayoutError(
                f'{name} may be {some(found, 3)}: give files of one name the folders that tell them apart'
            )
        return found[0]

    def text(self, name: str) -> str:
        """A text file in UTF-8 or UTF-16."""
        data = self._bytes(name)
        try:
            return data.decode(encoding_of(data))
        except UnicodeDecodeError as error:
            raise LayoutError(f'{self.path(name)} is no text in UTF-8: {error}; save it as UTF-8') from error

    def _bytes(self, name: str) -> bytes:
        path = self.path(name)
        try:
            if path.stat().st_size > MOST_BYTES:
                raise LayoutError(f'{path} is too large to be read: {path.stat().st_size} bytes')
            return path.read_bytes()
        except OSError as error:
            raise LayoutError(f'{path} cannot be read: {error.strerror}') from error

    def json(self, name: str) -> Any:
        try:
            return json.loads(self.text(name))
        except (ValueError, RecursionError) as error:
            if isinstance(error, LayoutError):
                raise
            raise LayoutError(f'{self.path(name)} is not valid JSON: {error}') from error

    def yaml(self, name: str) -> Any:
        try:
            return yaml.safe_load(self.text(name))
        except (yaml.YAMLError, RecursionError) as error:
            raise LayoutError(f'{self.path(name)} is not valid YAML: {" ".join(str(error).split())}') from error

    def xml(self, name: str) -> ElementTree.Element:
        try:
            return ElementTree.fromstring(self._bytes(name))
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            if isinstance(error, LayoutError):
                raise
            raise LayoutError(f'{self.path(name)} is not valid XML: {error}') from error

    def sample(self, *suffixes: str) -> list[str]:
        """Files of these kinds to look into: the first few of each folder."""
        by_folder = defaultdict(list)
        for name in self.with_suffix(*suffixes):
            by_folder[posixpath.dirname(name)].append(name)
        return [name for names in by_folder.values() for name in names[:LOOKED_INTO]]

    @cached_property
    def json_kinds(self) -> dict[str, str]:
        """What the JSON files hold that were looked into: a layout's name, or in words."""
        return {name: self._kind(name) for name in self.sample('.json')}

    def _kind(self, name: str) -> str:
        try:
            return json_kind(self.json(name))
        except LayoutError:
            return NO_JSON

    @cached_property
    def xml_roots(self) -> dict[str, str]:
        """The first tag of the XML files that were looked into."""
        found = {}
        for name in self.sample('.xml'):
            try:
                with open(self.path(name), 'rb') as file:
                    found[name] = next(ElementTree.iterparse(file, events=('start',)))[1].tag
            except (OSError, ElementTree.ParseError, StopIteration, ValueError, LookupError):
                found[name] = NO_XML
        return found

    def of_json_kind(self, kind: str) -> list[str]:
        """The files of a kind, and those beside them that were not looked into or cannot be read."""
        return self._alike(self.json_kinds, '.json', (kind, NO_JSON))

    def of_xml_root(self, root: str) -> list[str]:
        return self._alike(self.xml_roots, '.xml', (root, NO_XML))

    def _alike(self, kinds: dict[str, str], ending: str, wanted: tuple[str, str]) -> list[str]:
        folders = {posixpath.dirname(name) for name, kind in kinds.items() if kind == wanted[0]}
        files = (name for name in self.with_suffix(ending) if posixpath.dirname(name) in folders)
        return [name for name in files if kinds.get(name, wanted[0]) in wanted]

    def beside(self, files: list[str]) -> list[str]:
        """These, and every file of their suffixes in their folders."""
        places = {(posixpath.dirname(name), suffix(name)) for name in files}
        return [name for name in self.files if (posixpath.dirname(name), suffix(name)) in places]

    def contents(self) -> str:
        """What is in the folder, for a message: how many files of which kinds, and what is in those of annotations."""
        counts = Counter(suffix(name) or 'without a suffix' for name in self.files)
        kinds = ', '.join(f'{number} {kind}' for kind, number in counts.most_common(6))
        inner = [f'{name}: {kind}' for name, kind in self.json_kinds.items()]
        inner += [f'{name}: {tag if tag == NO_XML else f"XML of <{tag}>"}' for name, tag in self.xml_roots.items()]
        return (kinds or 'nothing') + (f' ({some(inner, 3)})' if inner else '')


def json_kind(data: object) -> str:
    """The layout that a JSON file belongs to by its keys, or what it is in words."""
    if isinstance(data, list):
        task = data[0] if data and isinstance(data[0], dict) else {}
        inner = task.get('annotations', task.get('completions'))
        is_full = isinstance(task.get('data'), dict) and isinstance(inner, list)
        is_short = any(isinstance(value, list) and value and isinstance(value[0], dict) and 'original_width' in value[0]
                       for value in task.values())  # fmt: skip
        return 'Label Studio' if is_full or is_short else f'a list of {type(data[0]).__name__}' if data else 'a list'
    if not isinstance(data, dict):
        return f'a {type(data).__name__}'
    if 'shapes' in data and ('imagePath' in data or 'imageHeight' in data):
        return 'LabelMe'
    if isinstance(data.get('items'), list) and isinstance(data.get('categories'), dict):
        return 'Datumaro'
    if isinstance(data.get('images'), list) and isinstance(data.get('annotations', []), list):
        first = next(iter(data.get('annotations') or ()), {})
        others = isinstance(first, dict) and ('caption' in first or 'segments_info' in first)
        if 'categories' in data and not others:
            return 'COCO'
    if isinstance(data.get('objects'), list) and isinstance(data.get('size'), dict):
        return 'Supervisely'
    if isinstance(data.get('classes'), list) and all(isinstance(one, dict) and 'title' in one
                                                     for one in data['classes']):  # fmt: skip
        return 'Supervisely classes'
    return f'an object with {some(list(data), 4)}' if data else 'an empty object'


def suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def stem(name: str) -> str:
    return posixpath.splitext(posixpath.basename(name))[0]


def split_of(name: str) -> str:
    """'train', 'val' or 'test' by the words of a path, the last that says so; '' where none does."""
    found = ''
    for part in posixpath.splitext(name)[0].lower().split('/'):
        for word in part.replace('-', '_').replace('.', '_').replace(' ', '_').split('_'):
            found = SPLIT_OF.get(word, found)
    return found

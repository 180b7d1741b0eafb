"""The layouts of folders that are read, one row for each, and which of them a folder has.

Own readers of some sixty lines each, after others were measured on the edge cases of `tests/datasets/layouts`: see
`README.md` beside this file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from swin_mmdet.datasets.layouts import coco, cvat, datumaro, label_studio, labelme, pascal_voc, supervisely, yolo
from swin_mmdet.datasets.layouts.errors import LayoutError, UnknownLayoutError
from swin_mmdet.datasets.layouts.folder import DataFolder
from swin_mmdet.datasets.problems import some


class Read(Protocol):
    """What a reader returns."""

    notes: list[str]

    def cocos(self) -> dict[str, dict]:
        """Split, '' where nothing says one -> content of a COCO file with names of images relative to the folder."""


@dataclass(frozen=True)
class Layout:
    """How a program lays out its data.

    Attributes:
        name: of the program or format.
        expects: what it is recognised by, in words.
        recognise: files of a folder that are of this layout, by their content.
        read: all of them.
    """

    name: str
    expects: str
    recognise: Callable[[DataFolder], list[str]]
    read: Callable[[DataFolder], Read]


LAYOUTS = tuple(
    Layout(name, room.EXPECTS, room.recognise, room.read)
    for name, room in {
        'COCO': coco,
        'YOLO': yolo,
        'Pascal VOC': pascal_voc,
        'LabelMe': labelme,
        'CVAT XML': cvat,
        'Label Studio': label_studio,
        'Supervisely': supervisely,
        'Datumaro': datumaro,
    }.items()
)
WORDS = {layout.name.lower().replace(' ', '-'): layout for layout in LAYOUTS}


def find_layout(folder: DataFolder, wanted: str | None = None) -> Layout:
    """The layout of a folder, or the wanted one (a key of `WORDS`) of several.

    Raises:
        LayoutError: none is recognised, or several are; says what is there and what would be recognised.
    """
    found = {layout: files for layout in LAYOUTS if (files := layout.recognise(folder))}
    if wanted is not None:
        layout = WORDS[wanted]
        if layout not in found:
            raise LayoutError(f'{folder.root} is no {layout.name} folder, which has {layout.expects}. '
                              f'There is: {folder.contents()}')  # fmt: skip
        return layout
    if len(found) == 1:
        return next(iter(found))
    if not found:
        known = '\n'.join(f'  {layout.name}: {layout.expects}' for layout in LAYOUTS)
        raise UnknownLayoutError(
            f'no data set is recognised in {folder.root}. There is: {folder.contents()}. '
            f'Looked for images with:\n{known}'
        )
    seen = '; '.join(f'{layout.name} ({some(files, 2)})' for layout, files in found.items())
    words = ' or '.join(word for word, layout in WORDS.items() if layout in found)
    raise LayoutError(
        f'{folder.root} has annotations in several layouts: {seen}. Move aside what is not meant, or convert one: '
        f'python tools/convert_dataset.py {folder.root} OUT --layout {words}'
    )

"""What each reader makes of a folder, whole: its notes and objects, or the words with which it refuses."""

import json
from pathlib import Path

import pytest
from PIL import Image

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.datasets.layouts import DataFolder, LayoutError, Split, convert
from tests.datasets.layouts.folders_of_formats import COCO, LABEL_STUDIO, VOC, YOLO, coco, yolo
from tests.datasets.layouts.folders_of_programs import BOX, CVAT, DATUMARO, HEIGHT, LABELME, SUPERVISELY, WIDTH, cvat
from tests.datasets.layouts.folders_of_programs import files as files_of
from tests.datasets.words import words_of

# folders of none, or of several
FOLDERS = {
    'empty': {},
    'images alone': files_of('a.jpg', 'b.png'),
    'other JSON': {'a.json': {}, 'b.json': [], 'c.json': [1], 'd.json': 7, 'e.json': dict(x=1, y=2), 'f.json': '{',
                   'a.jpg': None},
    'captions': {'a.json': dict(images=[], annotations=[dict(caption='x')], categories=[]), 'a.jpg': None},
    'panoptic': {'a.json': dict(images=[], annotations=[dict(segments_info=[])], categories=[]), 'a.jpg': None},
    'other XML': {'a.xml': '<other/>', 'b.xml': '<', 'a.jpg': None},
    'two layouts': yolo() | cvat(BOX),
    'not the wanted one': yolo(),
    'the wanted one': yolo() | cvat(BOX),
    'split': {'x.json': coco(*'abcdefgh', categories=('cat',)), **files_of(*'abcdefgh')},
}  # fmt: skip
OPTIONS = {
    'not the wanted one': dict(layout='cvat-xml'),
    'the wanted one': dict(layout='cvat-xml'), 'split': dict(split=Split(0.75, 3)),
}  # fmt: skip
ALL = dict(labelme=LABELME, cvat=CVAT, datumaro=DATUMARO, supervisely=SUPERVISELY, pascal_voc=VOC,
           label_studio=LABEL_STUDIO, yolo=YOLO, coco=COCO, folders=FOLDERS)  # fmt: skip
CASES = {f'{layout}: {case}': content for layout, cases in ALL.items() for case, content in cases.items()}


def told(content: dict, tmp_path: Path, **options) -> list[str]:
    """Notes, classes, images and objects of each split, or the refusal."""
    root = tmp_path / 'data'
    root.mkdir()
    for number, (name, inner) in enumerate(content.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if inner is None:
            Image.new('RGB', (WIDTH, HEIGHT), (number, 9, 9)).save(path, 'PNG')
        elif isinstance(inner, bytes):
            path.write_bytes(inner)
        else:
            path.write_text(inner if isinstance(inner, str) else json.dumps(inner))
    try:
        found = convert(DataFolder(root), **options)
    except LayoutError as error:
        return [f'refused | {line}'.replace(str(root), 'DATA') for line in str(error).splitlines()]
    made = [f'note | {note}'.replace(str(root), 'DATA') for note in found.notes]
    for split, data in found.contents.items():
        names = {one['id']: one['name'] for one in data['categories']}
        made.append(f'{split} | {", ".join(names.values())}')
        for image in data['images']:
            made.append(f'  {image["file_name"]} {image["width"]}x{image["height"]}')
            made += [f'    {names[one["category_id"]]} {one["bbox"]} area {one["area"]} crowd {one["iscrowd"]} '
                     f'{shown(one.get("segmentation"))}'
                     for one in data['annotations'] if one['image_id'] == image['id']]  # fmt: skip
    return made


def shown(mask: list | dict | None) -> str:
    """Of long polygons the first corners."""
    if isinstance(mask, list):
        return ' '.join(f'{polygon[:8]} of {len(polygon)}' for polygon in mask)
    return 'without a mask' if mask is None else json.dumps(mask)


@pytest.mark.parametrize('case', CASES)
def test_what_is_read_word_for_word(case: str, tmp_path: Path):
    assert told(CASES[case], tmp_path, **OPTIONS.get(case.partition(': ')[2], {})) == words_of('layouts')[case]

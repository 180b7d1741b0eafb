"""COCO annotation files under any names and in any folders, with the images wherever they are in the data's folder.

Contents stay as they are but for the names of images, which become relative to that folder: what else is wrong with
them is for the checks to say.
"""

import posixpath
from collections import defaultdict
from dataclasses import dataclass

from swin_mmdet.datasets.layouts.errors import LayoutError
from swin_mmdet.datasets.layouts.folder import DataFolder, split_of
from swin_mmdet.datasets.problems import count, some

EXPECTS = "a JSON file with 'images', 'annotations' and 'categories', or one for each split"
IMAGES = ('', 'images', '..', '../images')


@dataclass
class CocoSplits:
    """Split -> content of an annotation file."""

    contents: dict[str, dict]
    notes: list[str]

    def cocos(self) -> dict[str, dict]:
        return self.contents


def recognise(folder: DataFolder) -> list[str]:
    return folder.of_json_kind('COCO')


def read(folder: DataFolder) -> CocoSplits:
    by_split = defaultdict(list)
    for file in recognise(folder):
        by_split[split_of(file)].append(file)
    notes, contents = [], {}
    for split, files in by_split.items():
        file = _the_one(folder, split, files)
        contents[split] = _read_file(folder, file, split)
        notes.append(f'{split or "all images"}: {file}')
    return CocoSplits(contents, notes)


def _the_one(folder: DataFolder, split: str, files: list[str]) -> str:
    """Of several, the one that is named after instances, as COCO's own."""
    named = [file for file in files if 'instances' in posixpath.basename(file)]
    if len(files) > 1 and len(named) != 1:
        raise LayoutError(
            f'{folder.root}: {count(len(files), "annotation file")} may be meant for {split or "all images"}: '
            f'{some(files, 4)}; move those aside that are not meant'
        )
    return named[0] if len(files) > 1 else files[0]


def _read_file(folder: DataFolder, file: str, split: str) -> dict:
    content = folder.json(file)
    here = posixpath.dirname(file)
    part = posixpath.splitext(posixpath.basename(file))[0].removeprefix('instances_')
    # CVAT has a folder of images for each subset, named as its file is
    bases = [*IMAGES, *(f'{base}/{part}'.lstrip('/') for base in ('', 'images', '..', '../images')),
             *([split, f'../{split}', f'../images/{split}'] if split else [])]  # fmt: skip
    near = [posixpath.normpath(posixpath.join(here, base)) for base in bases]
    images, missing = [], []
    for index, image in enumerate(content['images']):
        name = image.get('file_name') if isinstance(image, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise LayoutError(f"{folder.path(file)}: entry {index} of 'images' has no file_name; correct or remove it")
        found = folder.find_image(name, near)
        if found is None:
            missing.append(name)
        images.append(image | {'file_name': found or name})
    if not images:
        raise LayoutError(f'{folder.path(file)}: it lists no images')
    if missing:
        raise LayoutError(f'{count(len(missing), "image")} of {folder.path(file)} not in {folder.root}: '
                          f'{some(missing, 3)}; put them there, or remove their entries')  # fmt: skip
    return content | {'images': images}

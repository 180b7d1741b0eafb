"""Folders of small data, written file by file, and what a reader must make of them."""

import json
import zlib

import pytest
from PIL import Image

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.datasets.layouts import DataFolder, LayoutError, convert

WIDTH, HEIGHT = 40, 30


@pytest.fixture
def lay_out(tmp_path):
    """lay_out({name: content}) writes files: text, bytes, JSON of lists and dicts; for None images of 40 x 30."""

    def write(files):
        for name, content in files.items():
            path = tmp_path / 'data' / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                colour = zlib.crc32(name.encode()).to_bytes(4, 'big')[:3]
                Image.new('RGB', (WIDTH, HEIGHT), tuple(colour)).save(path)
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path / 'data'

    return write


@pytest.fixture
def objects(lay_out):
    """objects(files): {split: {image: [(class, box, segmentation)]}} as the reader of such a folder gives them."""

    def read(files, **options):
        converted = convert(DataFolder(lay_out(files)), **options)
        return {split: by_image(content) for split, content in converted.contents.items()}

    return read


@pytest.fixture
def refusal(lay_out):
    """refusal(files): the message with which such a folder is refused."""

    def read(files, **options):
        with pytest.raises(LayoutError) as caught:
            convert(DataFolder(lay_out(files)), **options)
        return str(caught.value)

    return read


def by_image(coco):
    """{file name: [(class, box, segmentation or None, or 'crowd')]} of a COCO content whose ids and sizes hold."""
    names = {category['id']: category['name'] for category in coco['categories']}
    images = {image['id']: image for image in coco['images']}
    assert len(images) == len(coco['images'])
    assert len({ann['id'] for ann in coco['annotations']}) == len(coco['annotations'])
    found = {image['file_name']: [] for image in coco['images']}
    for image in coco['images']:
        assert (image['width'], image['height']) == (WIDTH, HEIGHT)
    for ann in coco['annotations']:
        what = 'crowd' if ann['iscrowd'] else ann.get('segmentation')
        found[images[ann['image_id']]['file_name']].append((names[ann['category_id']], ann['bbox'], what))
    return found

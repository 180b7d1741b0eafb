"""Names of images that are spelt in another way than their files, or lead out of their folder."""

import re
from pathlib import Path

import pytest
from PIL import Image

from swin_mmdet.datasets import image_sizes, read_coco
from swin_mmdet.datasets.check import find_problems
from swin_mmdet.datasets.checks.images import image_problems
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.headers import read_header


@pytest.mark.parametrize(('name', 'on_disk', 'hint'), [
    ('sub\\1.jpg', 'sub/1.jpg', 'have backslashes'),
    ('my%20photo.jpg', 'my photo.jpg', 'are encoded as in URLs'),
    ('caf\u00e9.jpg', 'cafe\u0301.jpg', 'write accents in another way'),
    ('cafe\u0301.jpg', 'caf\u00e9.jpg', 'write accents in another way'),
    ('/1.jpg', '1.jpg', 'there is 1.jpg: write it without what stands before it'),
    ('1.JPG', '1.jpg', 'capital letters matter'),
    ('images/1.jpg', '1.jpg', 'is in .* itself'),
])
def test_names_that_are_spelt_in_another_way_are_explained(coco, write, tmp_path, name, on_disk, hint):
    coco['images'] = [dict(coco['images'][0], file_name=name)]
    path = write(coco, images=False)
    (tmp_path / 'train2017' / on_disk).parent.mkdir(exist_ok=True)
    Image.new('L', (100, 100)).save(tmp_path / 'train2017' / on_disk)
    (problem,) = image_problems(read_coco(path), tmp_path / 'train2017', 'train', 'the image folder')
    assert problem.level == 'error'
    assert re.search(hint, problem.remedy)


def test_images_outside_of_their_folder_are_opened_only_if_the_user_allows_it(config, coco, monkeypatch):
    coco['images'][0]['file_name'] = '../elsewhere.jpg'
    cfg = config(train=coco)
    opened = []
    seen = lambda path, content: opened.append(Path(path).name) or read_header(path, content)  # noqa: E731
    monkeypatch.setattr(image_sizes, 'read_header', seen)
    (problem,) = find_problems(cfg)[0]
    assert 'lead out of' in problem.what
    assert '--allow-outside' in problem.remedy
    assert 'elsewhere.jpg' not in opened
    assert find_problems(cfg, options=CheckOptions(allow_outside=True))[0] == []
    assert 'elsewhere.jpg' in opened

"""A data set of three images: a wide one, a high one, and a square one with many objects."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

# width, height, objects
IMAGES = ((128, 64, 1), (48, 96, 2), (64, 64, 5))


@pytest.fixture(scope='session')
def shaped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, in which validation has the same images."""
    folder = tmp_path_factory.mktemp('shaped')
    (folder / 'images').mkdir()
    (folder / 'annotations').mkdir()
    images, annotations = [], []
    for id, (width, height, objects) in enumerate(IMAGES, 1):
        name = f'{id}.png'
        noise = np.random.default_rng(id).integers(0, 256, (height, width, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / 'images' / name), noise)
        images.append({'id': id, 'file_name': name, 'width': width, 'height': height})
        for number in range(objects):
            left, side = 4 + 8 * number, 16
            annotations.append({
                'id': len(annotations) + 1, 'image_id': id, 'category_id': 1, 'iscrowd': 0, 'area': side * side,
                'bbox': [left, 4, side, side],
                'segmentation': [[left, 4, left + side, 4, left + side, 4 + side, left, 4 + side]],
            })  # fmt: skip
    # a crowd, from which nothing is learnt
    annotations.append(annotations[0] | {'id': 99, 'iscrowd': 1})
    content = {'images': images, 'annotations': annotations, 'categories': [{'id': 1, 'name': 'noise'}]}
    for split in ('train', 'val'):
        (folder / f'annotations/instances_{split}.json').write_text(json.dumps(content))
    return folder

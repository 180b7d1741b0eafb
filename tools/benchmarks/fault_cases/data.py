"""A small healthy data set, to be spoilt, and what a model should see of it."""

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pycocotools.mask as rle_codec
from PIL import Image

WIDTH, HEIGHT = 96, 80
IMAGES = {'train': 6, 'val': 4}
CLASSES = 'cat', 'dog'


def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Smooth colours with a little noise: [height, width, 3], different for each seed."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(30, 226, (6, 6, 3), np.uint8)).resize((width, height), Image.BICUBIC)
    return (np.array(coarse, int) + rng.integers(-6, 7, (height, width, 3))).clip(0, 255).astype(np.uint8)


def rle(bitmap: np.ndarray) -> dict:
    """Compressed, as JSON takes it."""
    made = rle_codec.encode(np.asfortranarray(bitmap, np.uint8))
    return {'size': [int(side) for side in made['size']], 'counts': made['counts'].decode()}


def runs(bitmap: np.ndarray) -> dict:
    """Uncompressed."""
    flat = np.concatenate([[0], bitmap.ravel(order='F'), [0]])
    changes = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], changes, [bitmap.size]])).tolist()
    return {'size': [int(side) for side in bitmap.shape], 'counts': [int(count) for count in counts]}


def annotation(id: int, image: int, category: int, box: tuple[int, int, int, int]) -> dict:
    """An object that fills its box but for a corner, as a polygon or, every third, as run lengths."""
    x, y, w, h = box
    points = [x, y, x + w, y, x + w, y + h, x, y + h - 2]
    mask: list | dict = [[float(value) for value in points]]
    if id % 3 == 0:
        bitmap = np.zeros((HEIGHT, WIDTH), np.uint8)
        bitmap[y : y + h, x : x + w] = 1
        mask = rle(bitmap)
    return {
        'id': id, 'image_id': image, 'category_id': category, 'bbox': [float(value) for value in box],
        'area': float(w * h - (w if id % 3 else 0)), 'iscrowd': 0, 'segmentation': mask,
    }  # fmt: skip


def healthy(split: str) -> dict:
    """Two objects on each image but the last."""
    rng = np.random.default_rng(len(split))
    first = {'train': 1, 'val': 101}[split]
    ids = range(first, first + IMAGES[split])
    annotations = []
    for id in list(ids)[:-1]:
        for place in range(2):
            w, h = (int(value) for value in rng.integers(12, 30, 2))
            x, y = int(rng.integers(30, 96 - w)), int(rng.integers(25, 80 - h))
            annotations.append(annotation(2 * id + place, id, (3, 8)[(id + place) % 2], (x, y, w, h)))
    return {
        'info': {'description': split},
        'images': [{'id': id, 'file_name': f'{id:04}.jpg', 'width': WIDTH, 'height': HEIGHT} for id in ids],
        'categories': [{'id': 3, 'name': 'cat', 'supercategory': 'pet'}, {'id': 8, 'name': 'dog'}],
        'annotations': annotations,
    }


@dataclass
class Data:
    """A data set on disk, in COCO's own layout: `train` and `val` are dicts to spoil, `images` are files to spoil."""

    folder: Path
    train: dict = field(default_factory=lambda: healthy('train'))
    val: dict = field(default_factory=lambda: healthy('val'))
    # annotation files that are not written by `save`
    raw: dict[str, bytes] = field(default_factory=dict)
    # settings of the configuration
    classes: tuple[str, ...] = CLASSES
    settings: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        for split in IMAGES:
            (self.folder / f'{split}2017').mkdir(parents=True)
            for image in healthy(split)['images']:
                Image.fromarray(picture(image['id'])).save(self.image(split, image['file_name']), quality=92)
        (self.folder / 'annotations').mkdir()

    def image(self, split: str = 'train', name: str = '0002.jpg') -> Path:
        return self.folder / f'{split}2017' / name

    def ann_file(self, split: str = 'train') -> Path:
        return self.folder / f'annotations/instances_{split}2017.json'

    @property
    def anns(self) -> list[dict]:
        return self.train['annotations']

    def both(self) -> list[dict]:
        return [self.train, self.val]

    def save(self) -> None:
        for split in IMAGES:
            content = self.raw.get(split)
            self.ann_file(split).write_bytes(json.dumps(getattr(self, split)).encode() if content is None else content)


Seen = dict[str, list[tuple[str, tuple[float, ...], int]]]


def truth(split: str = 'train') -> Seen:
    """By file name, of each object: class, corners, pixels of its mask."""
    content = healthy(split)
    names = {category['id']: category['name'] for category in content['categories']}
    seen: Seen = {image['file_name']: [] for image in content['images']}
    files = {image['id']: image['file_name'] for image in content['images']}
    for ann in content['annotations']:
        x, y, w, h = ann['bbox']
        mask = ann['segmentation']
        if isinstance(mask, list):
            mask = rle_codec.merge(rle_codec.frPyObjects(copy.deepcopy(mask), HEIGHT, WIDTH))
        pixels = int(rle_codec.area(mask))
        seen[files[ann['image_id']]].append((names[ann['category_id']], (x, y, x + w, y + h), pixels))
    return {name: sorted(objects) for name, objects in seen.items()}

"""A made-up data set with COCO's classes and numbers of objects, and any config of the zoo on it."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import cv2
import numpy as np
from mmdet.datasets import CocoDataset
from mmengine.config import Config

from swin_mmdet.config import nodes
from swin_mmdet.datasets.data_folder import use_folder
from swin_mmdet.datasets.image_scale import largest_sizes

# so wide that the recipes' images are as large as they get, 800 x 1333; and as many objects as COCO's on average
HEIGHT, WIDTH, OBJECTS = 384, 640, 7
ROOT = Path(__file__).resolve().parents[2]
CLASSES = CocoDataset.METAINFO['classes']
STUFF = range(len(CLASSES), len(CLASSES) + 53)


def make_data(folder: Path, images: int) -> Path:
    """Images with ellipses, their annotations, and a map of stuff beside each; validation takes the first two."""
    generator = np.random.default_rng(0)
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    records, annotations = [], []
    for index in range(1, images + 1):
        blurred = cv2.resize(generator.integers(256, size=(30, 40, 3), dtype=np.uint8), (WIDTH, HEIGHT))
        for _ in range(OBJECTS):
            annotations.append(_ellipse(blurred, index, len(annotations) + 1, generator))
        stuff = generator.choice(STUFF, size=(3, 4)).astype(np.uint8)
        cv2.imwrite(str(folder / f'images/{index:05d}.jpg'), blurred)
        cv2.imwrite(
            str(folder / f'images/{index:05d}.png'),
            cv2.resize(stuff, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST),
        )
        records.append({'id': index, 'file_name': f'{index:05d}.jpg', 'height': HEIGHT, 'width': WIDTH})
    categories = [{'id': number, 'name': name} for number, name in enumerate(CLASSES, 1)]
    (folder / 'annotations').mkdir(exist_ok=True)
    for split, last in (('train', images), ('val', 2)):
        content = {
            'images': records[:last],
            'annotations': [one for one in annotations if one['image_id'] <= last],
            'categories': categories,
        }
        (folder / f'annotations/instances_{split}.json').write_text(json.dumps(content))
    return folder


def _ellipse(image: np.ndarray, image_id: int, number: int, generator: np.random.Generator) -> dict:
    """Draw one, and annotate it."""
    axes = np.exp(generator.uniform(np.log(12), np.log(160), 2)).astype(int)
    center = generator.uniform(axes + 1, np.array([WIDTH, HEIGHT]) - axes - 1).astype(int)
    color = tuple(int(value) for value in generator.integers(256, size=3))
    cv2.ellipse(image, tuple(map(int, center)), tuple(map(int, axes)), 0, 0, 360, color, -1)
    polygon = cv2.ellipse2Poly(tuple(map(int, center)), tuple(map(int, axes)), 0, 0, 360, 20).astype(float)
    (left, top), (right, bottom) = polygon.min(0), polygon.max(0)
    return {
        'id': number,
        'image_id': image_id,
        'category_id': int(generator.integers(1, len(CLASSES) + 1)),
        'bbox': [left, top, right - left, bottom - top],
        'area': float(axes.prod() * np.pi),
        'iscrowd': 0,
        'segmentation': [polygon.flatten().tolist()],
    }


def on_made_data(cfg: Config, folder: Path) -> None:
    """The config trains and predicts on this data, in one process and without a download.

    Batches stay as large, and images are of the largest sizes that its pipeline makes.
    """
    largest_sizes(cfg.train_dataloader)
    for node in nodes(cfg.train_dataloader):
        if str(node.get('type')).endswith('CocoPanopticDataset'):
            # panopticapi, which reads that format, is not on PyPI: the same tensors from maps of stuff
            node.type = 'CocoDataset'
            node.data_prefix.seg = ''
        _load_maps(node)
    with_maps = [node for node in nodes(cfg.train_dataloader) if 'seg' in node.get('data_prefix', {})]
    use_folder(cfg, str(folder))
    for node in with_maps:
        node.data_prefix.seg = node.data_prefix.img
    cfg.val_dataloader.dataset.type = 'CocoDataset'
    for name in ('train_dataloader', 'val_dataloader'):
        cfg[name].merge(dict(num_workers=0, persistent_workers=False))
        for node in nodes(cfg[name]):
            if 'pipeline' in node:
                node.pipeline = [step for step in node.pipeline if _can_run(step)]
    for node in nodes(cfg.model):
        if (node.get('init_cfg') or {}).get('type') == 'Pretrained':
            node.init_cfg = None
    cfg.load_from = None


def _load_maps(node: dict) -> None:
    for step in node.get('pipeline', []):
        if step['type'] == 'LoadPanopticAnnotations':
            step.type = 'LoadAnnotations'
            step.update(with_bbox=True, with_mask=True, with_seg=True)
            step.pop('backend_args', None)


def _can_run(step: dict) -> bool:
    missing = step['type'] == 'swin_mmdet.InstaBoost' and not find_spec('instaboostfast')
    return not missing and step['type'] != 'LoadPanopticAnnotations'


def write_language_model(folder: Path) -> Path:
    """BERT-base of random weights that knows the words of COCO's classes."""
    sys.path.append(str(ROOT))
    from tests.bert import write_bert

    if not (folder / 'config.json').exists():
        write_bert(folder, sorted({word for name in CLASSES for word in name.split()}))
    return folder

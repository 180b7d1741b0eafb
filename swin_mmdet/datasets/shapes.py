"""Small COCO-format data that is drawn: circles, squares and triangles that cover each other, with masks."""

import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as mask_utils

# class -> its typical hue in degrees: as with real objects, the look helps where half of the outline is hidden
HUES = {'circle': 0, 'square': 120, 'triangle': 240}
CLASSES = tuple(HUES)
SPLITS = ('train', 'val')
DRAWING = 2  # raise it when the same seed draws other pictures
MIN_VISIBLE, MIN_PIXELS = 0.6, 60  # of an object; whatever would hide more is not drawn
JPEG_QUALITY = 92


def outline(kind: str, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Corners [n, 2] of a shape around the origin, stretched and turned at random."""
    corners = {'circle': 40, 'square': 4, 'triangle': 3}[kind]
    angles = 2 * np.pi * (np.arange(corners) + 0.5) / corners  # half a step: a stretched square stays right-angled
    points = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points[:, 0] *= rng.uniform(0.8, 1.0)
    turn = rng.uniform(0, 2 * np.pi)
    return points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])


def rasterise(polygon: list[float], size: int) -> np.ndarray:
    """Mask [size, size] of a polygon, by the rules that readers of the annotations apply."""
    return mask_utils.decode(mask_utils.merge(mask_utils.frPyObjects([polygon], size, size))).astype(bool)


def texture(size: int, rng: np.random.Generator) -> np.ndarray:
    """Background [size, size, 3] of two colours mixed by a gradient, stripes or blobs, with noise."""
    first, second = rng.uniform(20, 235, (2, 3))
    y, x = np.mgrid[:size, :size] / size
    along = np.cos(turn := rng.uniform(0, 2 * np.pi)) * x + np.sin(turn) * y
    kind = rng.choice(['gradient', 'stripes', 'blobs'])
    if kind == 'gradient':
        mix = (along - along.min()) / np.ptp(along)
    elif kind == 'stripes':
        mix = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(3, 12) * along)
    else:
        coarse = rng.random((rng.integers(3, 10),) * 2).astype(np.float32)
        mix = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    # half of the contrast, so that shapes stand out more often than not
    image = first + 0.5 * mix[..., None] * (second - first)
    return image + rng.normal(0, rng.uniform(2, 14), (size, size, 3))


def typical_colour(kind: str, rng: np.random.Generator) -> np.ndarray:
    """A BGR colour [3] within 30 degrees of the hue of a class, pale to strong and dark to bright."""
    hue = (HUES[kind] + rng.uniform(-30, 30)) % 360
    pixel = np.array([[[hue, rng.uniform(0.4, 1), rng.uniform(0.4, 1)]]], dtype=np.float32)
    return 255 * cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0]


def draw_image(size: int, rng: np.random.Generator) -> tuple[np.ndarray, list[dict]]:
    """An image [size, size, 3] and its objects, each with 'kind', 'polygon', 'full' and 'visible' masks."""
    image = texture(size, rng)
    objects: list[dict] = []
    for _ in range(rng.integers(2, 7)):
        kind = str(rng.choice(CLASSES))
        radius = size * np.exp(rng.uniform(np.log(0.08), np.log(0.25)))
        points = outline(kind, radius, rng) + rng.uniform(0.05, 0.95, 2) * size
        polygon = points.round(2).ravel().tolist()
        mask = rasterise(polygon, size)
        left = [other['visible'] & ~mask for other in objects]
        hides = any(
            rest.sum() < max(MIN_PIXELS, MIN_VISIBLE * other['full'].sum()) for rest, other in zip(left, objects)
        )
        if hides or mask.sum() < MIN_PIXELS:
            continue
        for other, rest in zip(objects, left):
            other['visible'] = rest
        colour, light = typical_colour(kind, rng), rng.uniform(-40, 40)
        shade = colour + light * (np.mgrid[:size, :size][0] / size)[..., None] + rng.normal(0, 5, (size, size, 1))
        image[mask] = shade[mask]
        objects.append({'kind': kind, 'polygon': polygon, 'full': mask, 'visible': mask})
    return image.clip(0, 255).astype(np.uint8), objects


def annotation(item: dict, size: int) -> dict:
    """COCO annotation of the visible part: the polygon where all of the shape is seen, else RLE."""
    rle = mask_utils.encode(np.asfortranarray(item['visible'].astype(np.uint8)))
    inside = min(item['polygon']) >= 0 and max(item['polygon']) <= size
    whole = inside and bool((item['visible'] == item['full']).all())
    return {
        'category_id': CLASSES.index(item['kind']) + 1,
        'bbox': mask_utils.toBbox(rle).tolist(),
        'area': int(mask_utils.area(rle)),
        'iscrowd': 0,
        'segmentation': [item['polygon']] if whole else {'size': [size, size], 'counts': rle['counts'].decode()},
    }


def write_split(folder: Path, split: str, count: int, size: int, seed: int, arguments: dict) -> None:
    """Write the images and the annotation file of one split."""
    (folder / f'{split}2017').mkdir(parents=True)
    (folder / 'annotations').mkdir(exist_ok=True)
    images, annotations = [], []
    for index in range(count):
        rng = np.random.default_rng([seed, SPLITS.index(split), index])
        image, objects = draw_image(size, rng)
        name = f'{index + 1:06d}.jpg'
        if not cv2.imwrite(str(folder / f'{split}2017' / name), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(f'cannot write {folder / f"{split}2017" / name}')
        images.append({'id': index + 1, 'file_name': name, 'width': size, 'height': size})
        for item in objects:
            annotations.append({'id': len(annotations) + 1, 'image_id': index + 1, **annotation(item, size)})
    content = {
        'info': {'description': 'shapes drawn by tools/make_shapes_dataset.py', 'arguments': arguments},
        'images': images,
        'annotations': annotations,
        'categories': [{'id': index + 1, 'name': name, 'supercategory': 'shape'} for index, name in enumerate(CLASSES)],
    }
    (folder / f'annotations/instances_{split}2017.json').write_text(json.dumps(content))


def made_with(folder: Path) -> dict | None:
    """The arguments that a folder was made with; None if it is not one of this script."""
    try:
        return json.loads((folder / 'annotations/instances_train2017.json').read_text())['info']['arguments']
    except (OSError, ValueError, KeyError, TypeError):
        return None


def make_dataset(out: Path, train: int = 160, val: int = 40, size: int = 192, seed: int = 0) -> bool:
    """Write the data set; False if `out` holds it already.

    Raises:
        FileExistsError: `out` holds something else.
        ValueError: `size` is below 64.
    """
    if size < 64:
        raise ValueError(f'--size must be at least 64, got {size}')
    arguments = {'train': train, 'val': val, 'size': size, 'seed': seed, 'drawing': DRAWING}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        found = made_with(out) if out.is_dir() else None
        if found == arguments:
            return False
        inside = f'shapes made with {found}' if found else 'something else'
        raise FileExistsError(f'{out} exists and holds {inside}; choose another folder or remove it')
    out.parent.mkdir(parents=True, exist_ok=True)
    # whole or not at all: a run that is stopped leaves no folder that looks finished
    with tempfile.TemporaryDirectory(prefix=f'.{out.name}.', dir=out.parent) as scratch:
        folder = Path(scratch, 'shapes')
        write_split(folder, 'train', train, size, seed, arguments)
        write_split(folder, 'val', val, size, seed, arguments)
        folder.replace(out)
    return True

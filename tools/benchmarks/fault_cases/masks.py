"""Masks: malformed, empty, of another place, and every sound spelling."""

from collections.abc import Callable

import numpy as np

from .case import accepted, refused, warned
from .data import HEIGHT, WIDTH, Data, Seen, rle, runs

POLYGON, RLE = 0, 1  # annotations of those kinds
BITMAP = np.zeros((HEIGHT, WIDTH), np.uint8)
BITMAP[30:50, 40:60] = 1


def mask(value: object) -> Callable[[Data], object]:
    """In the place of the first polygon."""

    def spoil(data: Data) -> None:
        data.anns[POLYGON]['segmentation'] = value(data.anns[POLYGON]) if callable(value) else value

    return spoil


def each(change: Callable[[dict], object]) -> Callable[[Data], object]:
    """Of each polygon."""

    def spoil(data: Data) -> None:
        for ann in data.anns:
            if isinstance(ann['segmentation'], list):
                ann['segmentation'] = change(ann)

    return spoil


def counts(change: Callable[[str], object]) -> Callable[[Data], object]:
    """Of the first run lengths."""

    def spoil(data: Data) -> None:
        segmentation = data.anns[RLE]['segmentation']
        segmentation['counts'] = change(segmentation['counts'])

    return spoil


def flat(ann: dict) -> list:
    return ann['segmentation'][0]


def box_only(data: Data) -> None:
    for content in data.both():
        for ann in content['annotations']:
            del ann['segmentation']
            ann['area'] = ann['bbox'][2] * ann['bbox'][3]
    data.settings['masks'] = False


def without_pixels(seen: Seen) -> Seen:
    return {name: [(label, box, 0) for label, box, _ in objects] for name, objects in seen.items()}


def moved(ann: dict) -> list:
    return [[value - 30 if index % 2 == 0 else value - 25 for index, value in enumerate(flat(ann))]]


def as_runs(data: Data) -> None:
    for ann in data.anns:
        if isinstance(ann['segmentation'], dict):
            x, y, w, h = (int(value) for value in ann['bbox'])
            bitmap = np.zeros((HEIGHT, WIDTH), np.uint8)
            bitmap[y : y + h, x : x + w] = 1
            ann['segmentation'] = runs(bitmap)


def crowd(data: Data) -> None:
    data.anns.append({
        'id': 900, 'image_id': 6, 'category_id': 3, 'bbox': [40, 30, 20, 20], 'area': 400, 'iscrowd': 1,
        'segmentation': runs(BITMAP),
    })  # fmt: skip


CASES = [
    refused('masks', 'rle cut', counts(lambda text: text[:-2]), 'fill the image.*ids 3'),
    refused('masks', 'rle cut to half', counts(lambda text: text[: len(text) // 2]), 'fill the image.*ids 3'),
    refused('masks', 'rle with more', counts(lambda text: text + '4'), 'fill the image.*ids 3'),
    refused('masks', 'rle of letters', counts(lambda _: 'polygon'), 'ids 3'),
    refused('masks', 'rle empty', counts(lambda _: ''), 'ids 3'),
    refused('masks', 'rle of bytes as text', counts(lambda text: f"b'{text}'"), 'bytes object.*ids 3'),
    refused('masks', 'rle of bytes in double quotes', counts(lambda text: f'b"{text}"'), 'bytes object.*ids 3'),
    refused('masks', 'rle of a number', counts(lambda _: 7), 'ids 3'),
    warned('masks', 'rle of null', counts(lambda _: None), 'ids 3.*ignores', sees=None),
    refused('masks', 'runs of a wrong sum', counts(lambda _: [100, 20, 30]), 'fill the image.*ids 3'),
    refused('masks', 'runs with a negative', counts(lambda _: [HEIGHT * WIDTH + 5, -5]), 'ids 3'),
    refused('masks', 'runs with a fraction', counts(lambda _: [10.5, HEIGHT * WIDTH - 10.5]), 'ids 3'),
    refused('masks', 'runs beyond 32 bits', counts(lambda _: [2**40, HEIGHT * WIDTH - 2**40]), 'ids 3'),
    refused('masks', 'rle of another size', mask({'size': [40, 48], 'counts': [1920]}), "another 'size'"),
    refused('masks', 'rle of width x height', mask({'size': [WIDTH, HEIGHT], 'counts': [WIDTH * HEIGHT]}), "'size'"),
    refused('masks', 'rle with size as text', mask({'size': ['80', '96'], 'counts': [WIDTH * HEIGHT]}), "'size'"),
    warned('masks', 'rle without size', mask({'counts': [WIDTH * HEIGHT]}), 'ids 2.*ignores', sees=None),
    refused('masks', 'nan', mask(lambda ann: [[float('nan'), *flat(ann)[1:]]]), 'NaN.*ids 2'),
    refused('masks', 'infinity', mask(lambda ann: [[float('inf'), *flat(ann)[1:]]]), 'NaN.*ids 2'),
    refused('masks', 'null in a polygon', mask(lambda ann: [[None, *flat(ann)[1:]]]), 'null.*ids 2'),
    refused('masks', 'text in a polygon', mask(lambda ann: [[str(value) for value in flat(ann)]]), 'text.*ids 2'),
    refused('masks', 'numbers far beyond', mask(lambda ann: [[1e12, *flat(ann)[1:]]]), 'beyond.*ids 2'),
    refused('masks', 'two points', each(lambda ann: [flat(ann)[:4]]), 'at least 3 points'),
    refused('masks', 'an odd number of coordinates', each(lambda ann: [flat(ann)[:7]]), 'polygons'),
    refused('masks', 'points as pairs', each(lambda ann: [np.reshape(flat(ann), (-1, 2)).tolist()]),
            r'points \[x, y\]'),
    refused('masks', 'pairs without a list around', each(lambda ann: np.reshape(flat(ann), (-1, 2)).tolist()), 'ids 2'),
    refused('masks', 'points as objects', each(lambda _: [[{'x': 1, 'y': 2}] * 3]), 'ids 2'),
    refused('masks', 'flat lists', each(flat), 'flat list.*ids 2'),
    refused('masks', 'an empty list in a list', each(lambda _: [[]]), 'ids 2'),
    refused('masks', 'paths of png', each(lambda ann: f'masks/{ann["id"]}.png'), 'name of a file.*ids 2'),
    refused('masks', 'a bitmap', mask(BITMAP.tolist()), 'table of 0 and 1.*ids 2'),
    refused('masks', 'a sentence', mask('see the polygon'), 'ids 2'),
    refused('masks', 'a number', mask(5), 'ids 2'),
    refused('masks', 'true', mask(True), 'ids 2'),
    refused('masks', 'missing of one', mask(None), "no 'segmentation'.*ids 2", folder='warned'),
    refused('masks', 'missing of all', lambda data: [ann.pop('segmentation') for ann in data.anns], 'no .segmentation',
            folder='accepted'),
    refused('masks', 'run lengths without a pixel', mask({'size': [HEIGHT, WIDTH], 'counts': [HEIGHT * WIDTH]}),
            'single pixel.*ids 2'),
    refused('masks', 'a polygon without area', mask(lambda ann: [flat(ann)[:4] + flat(ann)[:2]]),
            'single pixel.*ids 2'),
    refused('masks', 'a polygon outside the image', mask([[200, 10, 240, 10, 240, 60]]), 'single pixel.*ids 2'),
    refused('masks', 'polygons as fractions', each(lambda ann: [[v / (WIDTH, HEIGHT)[i % 2]
                                                                 for i, v in enumerate(flat(ann))]]), 'single pixel'),
    refused('masks', 'a mask elsewhere', mask(moved), 'elsewhere than their boxes.*ids 2'),
    refused('masks', 'all masks elsewhere', each(moved), 'elsewhere than their boxes'),
    refused('masks', 'masks of the next object',
            lambda data: data.anns[0].update(segmentation=[[1.0, 1.0, 20.0, 1.0, 20.0, 20.0]]), 'elsewhere'),
    refused('masks', 'masks of a double size', each(lambda ann: [[value * 3 for value in flat(ann)]]), 'masks'),
    # healthy neighbours
    accepted('masks', 'uncompressed run lengths', as_runs),
    accepted('masks', 'a crowd', crowd),
    accepted('masks', 'two polygons of one object',
             mask(lambda ann: [flat(ann), [value + 1.0 for value in flat(ann)[:6]]]),
             sees=None),
    accepted('masks', 'whole numbers', each(lambda ann: [[int(value) for value in flat(ann)]])),
    accepted('masks', 'a polygon a little over the border', mask(lambda ann: [[value - 0.4 for value in flat(ann)]]),
             sees=None),
    accepted('masks', 'boxes alone', box_only, sees=without_pixels),
    accepted('masks', 'a polygon closed at its first point', each(lambda ann: [flat(ann) + flat(ann)[:2]])),
    accepted('masks', 'compressed run lengths of both', mask(lambda ann: rle(filled(ann))), sees=None),
]  # fmt: skip


def filled(ann: dict) -> np.ndarray:
    x, y, w, h = (int(value) for value in ann['bbox'])
    bitmap = np.zeros((HEIGHT, WIDTH), np.uint8)
    bitmap[y : y + h, x : x + w] = 1
    return bitmap

"""Images with their objects and detections drawn, small enough to stand in a page."""

import base64
import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from pycocotools import mask as mask_utils

from swin_mmdet.structures.segmentation import MaskError, readable_mask
from swin_mmdet.visualization.instances import draw_mask
from swin_mmdet.visualization.labels import Labels

# pixels of the longer side: those of large images, and what small ones are enlarged to
LARGEST, SMALLEST = 560, 384
JPEG_QUALITY = 80
MASK_ALPHA = 0.35
FONT_SIZE = 12
LONGEST_NAME = 24
MANY = 30
PADDING = np.array((150, 150, 150)), np.array((105, 105, 105))
STRIPE = 8


@dataclass(frozen=True)
class Drawn:
    """An object or detection: box x, y, width, height in pixels of its image, a mask as annotations have it or None."""

    box: Sequence[float]
    mask: list | dict | np.ndarray | None
    text: str
    colour: tuple[int, int, int]
    is_thick: bool = False


def draw(image: np.ndarray, things: Sequence[Drawn], largest: int = LARGEST) -> np.ndarray:
    """A picture [h, w, 3] of an image [H, W, 3] with these on it, the last above the others.

    Where they are many, lines are thinner, and labels have only those with thick lines, or none if these are as many.
    """
    height, width = image.shape[:2]
    factor = min(largest / max(height, width), max(1.0, SMALLEST / max(height, width)))
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    picture = np.ascontiguousarray(cv2.resize(image, size, interpolation=kind))
    covered = np.zeros(picture.shape[:2], bool)
    corners = []
    for thing in things:
        x, y, w, h = (float(value) for value in thing.box)
        box = [round(value * factor) for value in (x, y, x + w, y + h)]
        box = [int(np.clip(value, -2, limit + 2)) for value, limit in zip(box, (*size, *size))]
        mask = _scaled(thing.mask, height, width, size)
        if mask is not None:
            draw_mask(picture, mask, thing.colour, MASK_ALPHA)
            covered |= mask
        else:
            covered[max(box[1], 0) : box[3], max(box[0], 0) : box[2]] = True
        corners.append(box)
    are_many, are_all_many = len(things) > MANY, sum(thing.is_thick for thing in things) > MANY
    for thing, box in zip(things, corners):
        cv2.rectangle(picture, box[:2], box[2:], thing.colour, 2 + thing.is_thick - are_many, cv2.LINE_AA)
    labels = Labels(picture, covered, FONT_SIZE)
    for thing, box in reversed(list(zip(things, corners))):
        if thing.text and (not are_many or (thing.is_thick and not are_all_many)):
            labels.add(thing.text, box, thing.colour)
    return labels.draw()


def class_colour(index: int) -> tuple[int, int, int]:
    """A bright colour for a class, far from those of the classes beside it."""
    hue = index * 0.618034 % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.7, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def short(name: str) -> str:
    """A name that leaves room for the picture."""
    name = ' '.join(name.split())
    return name if len(name) <= LONGEST_NAME else f'{name[: LONGEST_NAME - 1]}…'


def hatched(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image [H, W, 3] with stripes below `height` and right of `width`, where it is padded."""
    image = image.copy()
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    stripes = np.where((((x + y) // STRIPE) % 2)[..., None], *PADDING)
    outside = (y >= height) | (x >= width)
    image[outside] = stripes[outside]
    return image


def data_uri(picture: np.ndarray) -> str:
    """A picture [h, w, 3] in RGB as the address of an image that is in the page itself."""
    done, encoded = cv2.imencode('.jpg', picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done
    return 'data:image/jpeg;base64,' + base64.b64encode(encoded.tobytes()).decode()


def _scaled(mask: list | dict | np.ndarray | None, height: int, width: int, size: tuple[int, int]) -> np.ndarray | None:
    """A mask in the size of its picture; None where it cannot be drawn."""
    if mask is None:
        return None
    pixels = mask if isinstance(mask, np.ndarray) else _decoded(mask, height, width)
    if pixels is None:
        return None
    return cv2.resize(pixels.astype(np.uint8) * 255, size, interpolation=cv2.INTER_LINEAR) > 127


def _decoded(mask: list | dict, height: int, width: int) -> np.ndarray | None:
    try:
        readable = readable_mask(mask, height, width)
    except MaskError:
        return None
    if readable is None:
        return None
    if isinstance(readable, list) or isinstance(readable['counts'], list):
        runs = mask_utils.frPyObjects(readable, height, width)
        readable = mask_utils.merge(runs) if isinstance(runs, list) else runs
    return mask_utils.decode(readable)

"""Outlines of objects as COCO has them, from the shapes that programs for labelling draw. Coordinates are in pixels."""

import math
from collections.abc import Sequence

import numpy as np
import pycocotools.mask as rle_codec

CORNERS = 64  # of a circle
Points = Sequence[Sequence[float]]


def flat(points: Points) -> list[float]:
    """[(x, y), ...] as COCO's [x, y, x, y, ...]; hundredths of a pixel are kept."""
    return [round(float(value), 2) for point in points for value in point]


def box_of(polygons: Sequence[Sequence[float]]) -> list[float]:
    """[x, y, width, height] around flat polygons."""
    xs, ys = ([value for polygon in polygons for value in polygon[axis::2]] for axis in (0, 1))
    return rounded(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def box_between(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    """[x, y, width, height] between two opposite corners."""
    return rounded(min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1))


def rounded(*values: float) -> list[float]:
    return [round(float(value), 2) for value in values]


def area_of(polygons: Sequence[Sequence[float]]) -> float:
    """The sum of the areas of flat polygons."""
    total = 0.0
    for polygon in polygons:
        x, y = np.asarray(polygon[0::2]), np.asarray(polygon[1::2])
        total += abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    return round(total, 2)


def ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0) -> list[tuple[float, float]]:
    """The points of an ellipse around (x, y), turned clockwise as seen."""
    angles = [2 * math.pi * i / CORNERS for i in range(CORNERS)]
    points = [(x + radius_x * math.cos(angle), y + radius_y * math.sin(angle)) for angle in angles]
    return turned(points, (x, y), degrees)


def turned(points: Points, centre: tuple[float, float], degrees: float) -> list[tuple[float, float]]:
    """Points turned around a centre, clockwise as seen."""
    if not degrees:
        return [(x, y) for x, y in points]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    cx, cy = centre
    return [(cx + (x - cx) * cos - (y - cy) * sin, cy + (x - cx) * sin + (y - cy) * cos) for x, y in points]


def rectangle(x1: float, y1: float, x2: float, y2: float) -> list[tuple[float, float]]:
    return [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]


def bitmap_of(polygons: Sequence[Sequence[float]], height: int, width: int) -> np.ndarray:
    """[height, width], true inside of any of the flat polygons."""
    return rle_codec.decode(rle_codec.merge(rle_codec.frPyObjects(list(polygons), height, width))).astype(bool)


def placed(bitmap: np.ndarray, left: int, top: int, height: int, width: int) -> np.ndarray:
    """A bitmap of a part of an image, in the whole; what lies beyond the border is cut off."""
    whole = np.zeros((height, width), bool)
    y, x = max(top, 0), max(left, 0)
    part = bitmap[y - top : height - top, x - left : width - left]
    whole[y : y + part.shape[0], x : x + part.shape[1]] = part
    return whole


def run_lengths(bitmap: np.ndarray) -> dict:
    """COCO's compressed run lengths of [height, width], with text that JSON takes."""
    encoded = rle_codec.encode(np.asfortranarray(bitmap, dtype=np.uint8))
    return {'size': [int(side) for side in encoded['size']], 'counts': encoded['counts'].decode()}


def box_of_bitmap(bitmap: np.ndarray) -> list[float]:
    """[x, y, width, height] of whole pixels; all 0 where nothing is set."""
    rows, columns = np.flatnonzero(bitmap.any(axis=1)), np.flatnonzero(bitmap.any(axis=0))
    if not len(rows):
        return [0.0, 0.0, 0.0, 0.0]
    left, right, top, bottom = (float(side) for side in (columns[0], columns[-1] + 1, rows[0], rows[-1] + 1))
    return rounded(left, top, right - left, bottom - top)

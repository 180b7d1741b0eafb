"""Labels in a picture: what they say, where they stand, how they are drawn."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels
PAD = 2
DARKENED = 0.35  # what is left of the picture behind a text
OTHER_LABEL = 10  # how much worse it is to cover another label than an object
LATER = 0.1  # share of its area that a label may cover rather than take the next place


@lru_cache(maxsize=8)
def font_of(size: int) -> ImageFont.FreeTypeFont:
    """matplotlib's own font, which is wherever mmengine is; it knows the letters of European alphabets."""
    return ImageFont.truetype(Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf'), size)


class Labels:
    """Labels of one picture, each placed where it covers least of what is there.

    Args:
        picture: [H, W, 3].
        covered: [H, W], True where objects are.
        font_size: in pixels.
    """

    def __init__(self, picture: np.ndarray, covered: np.ndarray, font_size: int) -> None:
        self.picture = picture
        self.font = font_of(font_size)
        self.height, self.width = covered.shape
        # [H + 1, W + 1]: sums over the pixels above and left, so that any rectangle's sum is four numbers
        self.sums = np.pad(covered.cumsum(0, dtype=np.int64).cumsum(1), ((1, 0), (1, 0)))
        self.placed: list[tuple[Box, str, tuple[int, int, int]]] = []

    def add(self, text: str, box: Sequence[float], colour: tuple[int, int, int]) -> None:
        """A label for the object in this box, framed in its colour; earlier labels stay where they are."""
        left, top, right, bottom = (round(float(x)) for x in box)
        ascent, descent = self.font.getmetrics()
        wide, high = round(self.font.getlength(text)) + 2 * PAD, ascent + descent + PAD
        corners = [(left, top - high), (left, bottom), (right - wide, top - high), (right - wide, bottom),
                   (right, top), (left - wide, top), (left, top), (left, bottom - high)]  # fmt: skip
        # further inside and outside, for objects one in another
        corners += [(left, top + n * high) for n in (1, 2, -2, -3)]
        places = [self._inside(x, y, wide, high) for x, y in corners]
        costs = [self._covers(place) + LATER * wide * high * number for number, place in enumerate(places)]
        self.placed.append((places[costs.index(min(costs))], text, colour))

    def draw(self) -> np.ndarray:
        """The picture with all of its labels."""
        picture = self.picture.copy()
        for (left, top, right, bottom), *_ in self.placed:
            part = picture[top:bottom, left:right]
            part[:] = (part * DARKENED).astype(picture.dtype)
        image = Image.fromarray(picture)
        pen = ImageDraw.Draw(image)
        for (left, top, right, bottom), text, colour in self.placed:
            pen.rectangle((left, top, right - 1, bottom - 1), outline=colour)
            pen.text((left + PAD, top), text, fill=(255, 255, 255), font=self.font)
        return np.array(image)

    def _inside(self, left: int, top: int, wide: int, high: int) -> Box:
        """Moved into the picture."""
        left = max(min(left, self.width - wide), 0)
        top = max(min(top, self.height - high), 0)
        return left, top, min(left + wide, self.width), min(top + high, self.height)

    def _covers(self, place: Box) -> float:
        left, top, right, bottom = place
        objects = self.sums[bottom, right] - self.sums[top, right] - self.sums[bottom, left] + self.sums[top, left]
        return objects + OTHER_LABEL * sum(common_area(place, other) for other, *_ in self.placed)


def common_area(one: Box, other: Box) -> int:
    """Pixels that both boxes have."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0) * max(high, 0)


def one_place(boxes: np.ndarray, scores: np.ndarray, iou: float) -> list[list[int]]:
    """Groups of boxes [n, 4] that overlap the best of their group by at least `iou`, of any class; best first."""
    sizes = (boxes[:, 2:] - boxes[:, :2]).clip(min=0)
    areas = sizes.prod(1)
    groups: list[list[int]] = []
    for index in np.argsort(-scores, kind='stable').tolist():
        for group in groups:
            best = group[0]
            lower = np.maximum(boxes[index, :2], boxes[best, :2])
            upper = np.minimum(boxes[index, 2:], boxes[best, 2:])
            common = (upper - lower).clip(min=0).prod()
            if common and common >= iou * (areas[index] + areas[best] - common):
                group.append(index)
                break
        else:
            groups.append([index])
    return groups


def label_text(names: Sequence[str], scores: Sequence[float] | None) -> str:
    """Of detections in one place, best first: the best, the best of another class, and how many more there are."""
    if scores is None:
        return names[0]
    shown = [0] + [index for index, name in enumerate(names) if name != names[0]][:1]
    text = ', '.join(f'{names[index]} {100 * scores[index]:.0f}%' for index in shown)
    more = len(names) - len(shown)
    return f'{text} +{more}' if more else text

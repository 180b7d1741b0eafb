"""Images and boxes as a recipe's resize for testing makes them."""

import math
from dataclasses import dataclass

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from swin_mmdet.datasets.image_scale import scale_of_test
from swin_mmdet.fitting.statistics import Statistics


@dataclass(frozen=True)
class Resized:
    """Training images in the size of a test.

    Attributes:
        scale: the sides that the recipe names.
        factors: [images], by how much each is enlarged.
        sizes: [images, 2], width and height, padded at the right and the bottom.
        boxes: [boxes, 4], corners in pixels.
    """

    scale: tuple[int, int]
    factors: NDArray[np.float64]
    sizes: NDArray[np.float64]
    boxes: NDArray[np.float64]
    image_of: NDArray[np.int64]

    @property
    def sides(self) -> NDArray[np.float64]:
        """[boxes], square roots of their areas."""
        return np.sqrt((self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1))


def resized(cfg: Config, data: Statistics, scale: tuple[int, int] | None = None) -> Resized:
    """The images of training in the size in which the config tests, or in another of its shape.

    Training at several scales has this one among the largest or in the middle.
    """
    scale = scale or scale_of_test(cfg)
    factors = factors_of(data.image_sizes, scale)
    new = np.floor(data.image_sizes * factors[:, None] + 0.5).clip(1)
    both = np.tile((new / data.image_sizes)[data.image_of], 2)
    divisor = (cfg.model.get('data_preprocessor') or {}).get('pad_size_divisor') or 1
    return Resized(scale, factors, np.ceil(new / divisor) * divisor, data.boxes * both, data.image_of)


def factors_of(image_sizes: NDArray[np.float64], scale: tuple[int, int]) -> NDArray[np.float64]:
    """[images], the factor by which an image becomes as large as fits into both sides of a scale."""
    long, short = max(scale), min(scale)
    return np.minimum(long / image_sizes.max(axis=1), short / image_sizes.min(axis=1))


def in_words(scale: tuple[int, ...]) -> str:
    """Such as '1333x800'."""
    return 'x'.join(str(math.floor(side)) for side in scale)

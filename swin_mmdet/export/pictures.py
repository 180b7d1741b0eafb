"""Images for the proof of an export: drawn shapes, and one without an object."""

from collections.abc import Sequence

import numpy as np

from swin_mmdet.export.runtime import Batch


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """Shapes of all sizes on noise: [H, W, 3] uint8 RGB. Noise alone for seed 0."""
    random = np.random.default_rng(seed)
    # without it places would be as good as each other, and who finds which of them is decided by the last bit
    image = random.normal(110, 12, (height, width, 3))
    rows, columns = np.mgrid[:height, :width]
    for _ in range(8 if seed else 0):
        y, x = random.integers(height), random.integers(width)
        side = random.integers(8, max(16, min(height, width) // 3))
        distance = np.abs(rows - y), np.abs(columns - x)
        is_round = random.random() < 0.5
        inside = np.hypot(*distance) < side if is_round else np.maximum(*distance) < side
        image[inside] = random.integers(0, 255, 3)
    return image.clip(0, 255).astype(np.uint8)


def batches(sizes: Sequence[tuple[int, int]]) -> list[Batch]:
    """Of padded sizes: whole images, one that needs padding, and one without objects."""
    found = []
    for number, (height, width) in enumerate(sizes, start=1):
        found.append(_batch(picture(height, width, number), (height, width)))
    height, width = sizes[-1]
    found.append(_batch(picture(height - 13, width - 26, len(sizes) + 1), sizes[-1]))
    found.append(_batch(picture(height, width, 0), sizes[-1]))
    return found


def _batch(image: np.ndarray, padded: tuple[int, int]) -> Batch:
    size = image.shape[:2]
    images = np.zeros((1, 3, *padded), np.uint8)
    images[0, :, : size[0], : size[1]] = image.transpose(2, 0, 1)
    return Batch(images, np.array([size], np.int64), size)

"""Images for the proof of an export: drawn shapes or those of a folder, and one without an object."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from swin_mmdet.errors import UserError
from swin_mmdet.export.runtime import Batch, Detector, resize

SUFFIXES = '.jpg', '.jpeg', '.png', '.bmp', '.webp'
# of a folder: for the proof, and for the ranges of 8 bits, which hardly change with more
MOST = {'--images': 8, '--int8': 32}


def images_in(folder: str, option: str) -> list[Path]:
    """The first of a folder by name, as many as an option takes.

    Raises:
        UserError: there is none, or one that cannot be read.
    """
    if not Path(folder).is_dir():
        raise UserError(f'{option} {folder}: no such folder; give one with images like those that will come')
    found = [path for path in sorted(Path(folder).iterdir()) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise UserError(f'{option} {folder}: no image ({", ".join(SUFFIXES)}) is in it')
    found = found[: MOST[option]]
    for path in found:
        try:
            read(path)
        except (OSError, ValueError) as error:
            raise UserError(f'{option}: {path} is no image that Pillow reads: {error}') from error
    return found


def read(path: Path) -> np.ndarray:
    """[H, W, 3] uint8 RGB."""
    return np.asarray(Image.open(path).convert('RGB'))


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


def given(detector: Detector, images: Sequence[Path], sizes: Sequence[tuple[int, int]]) -> list[Batch]:
    """Of images as the detector's runtime prepares them, of one of them in each of the padded sizes, and of
    one without objects.
    """
    found = [detector.batch(read(path)) for path in images]
    for number, size in enumerate(sizes):
        image = read(images[number % len(images)]).astype(np.float32)
        found.append(_batch(resize(image, *size).astype(np.uint8), size))
    *_, height, width = found[0].images.shape
    return [*found, _batch(picture(height, width, 0), (height, width))]

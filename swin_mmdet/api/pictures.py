"""What a detector looks at: image files, arrays and frames of videos, read one by one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from swin_mmdet.api.arrays import array_of, read_array
from swin_mmdet.api.video import Video
from swin_mmdet.config.image_paths import image_paths, is_several, is_video
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.errors import UserError


@dataclass(frozen=True)
class Picture:
    """One image, and how to read it.

    Attributes:
        path: of its file, or of the video that it is of.
        frame: its number in the video, from 0.
    """

    path: Path | None = None
    frame: int | None = None

    def read(self, reader: ImageReader) -> np.ndarray:
        """As the pipeline of the reader gets it.

        Raises:
            UnreadableImageError: of a file.
            UserError: of an array.
        """
        assert self.path is not None
        return reader.read(self.path)

    def __str__(self) -> str:
        name = str(self.path) if self.path else 'the array'
        return name if self.frame is None else f'{name}, frame {self.frame}'


@dataclass(frozen=True)
class ArrayPicture(Picture):
    """One that is in memory: `array_of` has it."""

    array: np.ndarray | None = None

    def read(self, reader: ImageReader) -> np.ndarray:
        assert self.array is not None
        return read_array(self.array, reader)


def is_one(images: object) -> bool:
    """A single image, neither several nor a video."""
    if isinstance(images, str | Path):
        return not is_several(images) and not is_video(images)
    if isinstance(images, np.ndarray | torch.Tensor):
        return images.ndim != 4
    return not isinstance(images, Iterable)


def is_endless(images: object) -> bool:
    """So many images, or of so unknown a number, that nobody wants a list of what is in them."""
    if isinstance(images, str | Path):
        return is_video(images) and Path(images).is_file()
    return isinstance(images, Iterator)


def has_video(images: object) -> bool:
    """Among several: a list of its frames would hold them all."""
    if isinstance(images, str | Path):
        return any(map(is_video, image_paths([images])))
    return isinstance(images, list | tuple) and any(isinstance(one, str | Path) and is_video(one) for one in images)


def pictures(images: Any) -> Iterator[Picture]:
    """Each image of what a user gives; what can be found wrong at once is found at once.

    Raises:
        UserError: a path without an image, an empty list, a video that cannot be opened, something that is no image.
    """
    if isinstance(images, Iterator):
        return (picture for one in images for picture in pictures([one]))
    if is_one(images) or isinstance(images, str | Path):
        images = [images]
    parts = [part for one in images for part in _parts(one)]
    if not parts:
        raise UserError('an empty list of images')
    return _opened(parts)


def _parts(image: object) -> list[Picture | Video]:
    if isinstance(image, str | Path):
        return [Video(path) if is_video(path) else Picture(path) for path in image_paths([image])]
    return [ArrayPicture(array=array_of(image))]


def _opened(parts: list[Picture | Video]) -> Iterator[Picture]:
    for part in parts:
        if isinstance(part, Picture):
            yield part
        else:
            for number, frame in enumerate(part.frames()):
                yield ArrayPicture(part.path, number, frame)

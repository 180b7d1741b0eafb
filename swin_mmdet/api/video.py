"""Frames of video files, and files of frames."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from swin_mmdet.errors import UserError

# OpenCV brings this encoder and this container everywhere
CODEC, SUFFIX = 'mp4v', '.mp4'
USUAL_RATE = 25.0
# a container may be wrong about the number of its frames by some at its end
MISSING = 0.05


class Video:
    """A video file.

    Attributes:
        rate: frames per second.

    Raises:
        UserError: it cannot be opened, or has no frames.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        capture = cv2.VideoCapture(str(path))
        try:
            if not capture.isOpened() or not capture.grab():
                raise UserError(
                    f'{path} is a video by its name, and OpenCV reads no frame of it; write its frames into a folder '
                    f'(`ffmpeg -i {path} frames/%06d.png`) and give that'
                )
            self.rate = capture.get(cv2.CAP_PROP_FPS) or USUAL_RATE
            self._count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        finally:
            capture.release()

    def frames(self) -> Iterator[np.ndarray]:
        """Each frame, [H, W, 3] uint8 in RGB; it is warned of a file that ends early."""
        capture = cv2.VideoCapture(str(self.path))
        number = 0
        try:
            while True:
                is_there, frame = capture.read()
                if not is_there:
                    break
                number += 1
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        finally:
            capture.release()
        if number < (1 - MISSING) * self._count:
            warnings.warn(f'{self.path}: {number} of its {self._count} frames could be read', stacklevel=2)


class VideoFile:
    """A video that is written frame by frame; its size is that of the first.

    Raises:
        UserError: with the first frame, where it cannot be written.
    """

    def __init__(self, path: str | Path, rate: float) -> None:
        self.path, self.rate = Path(path), rate
        self._writer: cv2.VideoWriter | None = None
        self._size: tuple[int, int] | None = None

    def write(self, picture: np.ndarray) -> None:
        """A frame [H, W, 3] uint8 in RGB."""
        if self._writer is None:
            self._size = picture.shape[1], picture.shape[0]
            self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*CODEC), self.rate, self._size)
            if not self._writer.isOpened():
                raise UserError(f'{self.path}: OpenCV cannot write a video there; check folder and disk')
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """What was written is whole then."""
        if self._writer is not None:
            self._writer.release()

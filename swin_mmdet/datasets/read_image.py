"""Images as the pipeline of a config reads them, for whatever else looks at the files."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform, LoadImageFromFile
from mmdet.datasets.transforms import LoadImageFromNDArray, LoadMultiChannelImageFromFiles
from mmdet.registry import TRANSFORMS

from swin_mmdet.config import nodes
from swin_mmdet.datasets.decoder_lines import decoder_lines

PACKAGES = {'tifffile': 'tifffile', 'turbojpeg': 'PyTurboJPEG'}
LOCAL = (None, 'local', 'disk')
# what reads something else than one file
OTHERS = (LoadImageFromNDArray, LoadMultiChannelImageFromFiles)


class UnreadableImageError(ValueError):
    """The pipeline cannot read an image, for the reason in the text; `ignored` where a training then takes another."""

    def __init__(self, reason: str, *, ignored: bool = False) -> None:
        self.ignored = ignored
        super().__init__(reason)


class ImageReader:
    """Reads files as a pipeline does: with its `LoadImageFromFile`, or its first step if that loads images otherwise.

    A pipeline without either is taken to read as `LoadImageFromFile` does by default.

    is_usual: reads with `LoadImageFromFile` or a child of it, whose needs and errors are known.
    is_guess: the pipeline has steps, and none of them loads images from files.
    is_local: the files are on this file system.
    damage: what the decoder said of the last file that it read all the same, '' for nothing.
    ignores: it gives nothing, instead of an error, for files that are missing or empty, and a training goes on.
    """

    def __init__(self, pipeline: Sequence[dict] = ()) -> None:
        config = next(_loading_steps(pipeline), None) or next(iter(_first_step(pipeline)), None)
        self.is_guess = bool(pipeline) and config is None
        self.step: BaseTransform = TRANSFORMS.build(config or dict(type=LoadImageFromFile))
        self.is_usual = isinstance(self.step, LoadImageFromFile)
        arguments = getattr(self.step, 'backend_args', None) or getattr(self.step, 'file_client_args', None) or {}
        self.is_local = arguments.get('backend') in LOCAL
        self.damage = ''
        self.ignores = bool(getattr(self.step, 'ignore_empty', False))

    def read(self, path: str | Path) -> np.ndarray:
        """The image, [H, W] or [H, W, channels], in the type that the pipeline gets.

        Raises:
            UnreadableImageError: it cannot be read.
        """
        try:
            with decoder_lines() as lines:
                results = self.step(dict(img_path=str(path), img_id=0))
            self.damage = '; '.join(dict.fromkeys(lines))
            if results is None:
                raise UnreadableImageError('the file is missing, empty or broken', ignored=True)
            return results['img']
        except UnreadableImageError:
            raise
        except Exception as error:  # every decoder and file backend has its own
            raise UnreadableImageError(self._reason(path, error)) from error

    def _reason(self, path: str | Path, error: Exception) -> str:
        if os.path.isfile(path) and not os.path.getsize(path):
            return 'the file is empty'
        decoder = getattr(self.step, 'imdecode_backend', None)
        if decoder in PACKAGES and isinstance(error, AttributeError):  # of None, which stands for a missing package
            return f"imdecode_backend='{decoder}' needs a package: pip install {PACKAGES[decoder]}"
        if decoder and isinstance(error, AssertionError):
            return f"imdecode_backend='{decoder}' decodes nothing with color_type='{self.step.color_type}'"
        return f'{type(error).__name__}: {error}'


def as_picture(image: np.ndarray) -> np.ndarray:
    """Something to draw on, uint8 [H, W, 3]: the first three channels, and values that are no bytes spread over 0..255.

    image: [H, W] or [H, W, channels] of any type.
    """
    image = np.atleast_3d(image)
    image = image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, axis=2)
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    image = np.nan_to_num(image.astype(np.float32))
    low, high = image.min(), image.max()
    if low < 0 or high <= 1 or high > 255:
        image = (image - low) * (255 / (high - low) if high > low else 0)
    return image.round().astype(np.uint8)


def _class_of(step: dict) -> type:
    kind = step.get('type')
    cls = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return cls if isinstance(cls, type) else object


def _loading_steps(pipeline: Sequence[dict]) -> Iterator[dict]:
    """Every step that reads an image file as mmcv does, also inside of other steps."""
    for step in nodes(pipeline):
        cls = _class_of(step)
        if issubclass(cls, LoadImageFromFile) and not issubclass(cls, OTHERS):
            yield step


def _first_step(pipeline: Sequence[dict]) -> list[dict]:
    """The first step if it loads images in a way of its own."""
    return [
        step
        for step in pipeline[:1]
        if isinstance(step, dict) and 'Image' in _class_of(step).__name__ and not issubclass(_class_of(step), OTHERS)
    ]

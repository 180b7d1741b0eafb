"""The images of annotations, read as a pipeline reads them, never from outside of their folder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmcv import bgr2rgb

from swin_mmdet.datasets.inside_folder import OutsideFolderError, inside_folder
from swin_mmdet.datasets.read_image import ImageReader, UnreadableImageError, as_picture


@dataclass(frozen=True)
class Images:
    """Where the images of annotations are, and how the pipeline reads them."""

    folder: Path | None
    reader: ImageReader
    allow_outside: bool = False

    def read(self, name: str) -> np.ndarray:
        """An image as RGB [H, W, 3].

        Raises:
            UnreadableImageError: it is not there, or something else than an image.
        """
        if self.folder is None:
            raise UnreadableImageError('the config names no folder of images')
        try:
            path = self.folder / name if self.allow_outside else inside_folder(self.folder, name)
        except OutsideFolderError as error:
            raise UnreadableImageError(str(error)) from error
        if self.reader.is_local and not path.is_file():
            raise UnreadableImageError(f'no such file: {path}')
        return bgr2rgb(as_picture(self.reader.read(path)))

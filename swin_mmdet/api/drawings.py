"""Drawn detections in a folder: a picture for an image, a video for a video."""

import warnings
from pathlib import Path
from types import TracebackType

import mmcv

from swin_mmdet.api.detections import Detections
from swin_mmdet.api.video import SUFFIX, Video, VideoFile
from swin_mmdet.errors import UserError


class Drawings:
    """Files of a folder, which is made, each with the name of what was looked at.

    Where no video can be written its frames become pictures in a folder of its name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._taken: set[str] = set()
        self._path: Path | None = None  # of the video that is being written
        self._out: VideoFile | Path | None = None

    def __enter__(self) -> 'Drawings':
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end_video()

    def add(self, found: Detections) -> None:
        """Draw it; the frames of a video come one after the other."""
        picture = found.picture
        assert picture.path is not None, 'arrays have no names'
        if picture.frame is None:
            found.save(self.folder / self._free_name(picture.path.name))
            return
        if picture.path != self._path or picture.frame == 0:
            self._end_video()
            self._path = picture.path
            self._out = VideoFile(
                self.folder / self._free_name(picture.path.stem + SUFFIX), Video(picture.path).rate
            )
        drawn = found.plot()
        if isinstance(self._out, VideoFile):
            try:
                self._out.write(drawn)
                return
            except UserError as error:
                self._out = self.folder / picture.path.stem
                warnings.warn(f'{error}; frames go into {self._out}', stacklevel=2)
        assert self._out is not None
        mmcv.imwrite(mmcv.rgb2bgr(drawn), str(self._out / f'{picture.frame + 1:06}.jpg'))

    def _end_video(self) -> None:
        if isinstance(self._out, VideoFile):
            self._out.close()
        self._out = None

    def _free_name(self, name: str) -> str:
        """Numbered where images of several folders share it."""
        path, number = Path(name), 1
        while name in self._taken:
            name, number = f'{path.stem}_{number}{path.suffix}', number + 1
        self._taken.add(name)
        return name

"""What a detector found in one image."""

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import mmcv
import numpy as np
from mmengine.structures import InstanceData

from swin_mmdet.api.found import Found
from swin_mmdet.api.masks import Masks
from swin_mmdet.api.pictures import Picture
from swin_mmdet.datasets.read_image import ImageReader, as_picture
from swin_mmdet.errors import UserError
from swin_mmdet.structures import EncodedMasks
from swin_mmdet.visualization import picture_of

if TYPE_CHECKING:
    import pandas
    import supervision


class Detections:
    """N detections of one image, best first; `detections[detections.scores > 0.5]` are some of them.

    Attributes:
        boxes: [N, 4] float32: left, top, right, bottom in pixels of the image, as it is seen.
        scores: [N] float32, 0 to 1.
        labels: [N] int64, indices of `class_names`.
        class_names: all classes of the detector.
        image_size: height and width.
        picture: where the image came from: its `path`, and `frame` of a video.
    """

    def __init__(
        self, found: Found, dataset_meta: dict, image_size: tuple[int, int], picture: Picture, reader: ImageReader
    ) -> None:
        self.class_names: tuple[str, ...] = tuple(dataset_meta['classes'])
        self.image_size, self.picture = image_size, picture
        self._found, self._dataset_meta, self._reader = found, dataset_meta, reader

    @property
    def boxes(self) -> np.ndarray:
        return self._found.boxes

    @property
    def scores(self) -> np.ndarray:
        return self._found.scores

    @property
    def labels(self) -> np.ndarray:
        return self._found.labels

    @property
    def masks(self) -> Masks | None:
        """[N, H, W] bool, decoded where it is looked at; None of a detector without masks."""
        return None if self._found.rles is None else Masks(self._found.rles, *self.image_size)

    @property
    def names(self) -> np.ndarray:
        """Name of each detection's class: [N] of text, so that `detections[detections.names == 'cat']` works."""
        return np.array([self.class_names[label] for label in self.labels.tolist()], dtype=np.str_)

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, index: int | slice | list | np.ndarray) -> 'Detections':
        """The chosen ones, by a number, a slice, numbers or a bool array [N]; one for a number."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return Detections(self._found.take(chosen), self._dataset_meta, self.image_size, self.picture, self._reader)

    def __iter__(self) -> Iterator['Detections']:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        counts = ', '.join(f'{count} {name}' for name, count in Counter(self.names.tolist()).most_common())
        return f'Detections({counts or "nothing"} in {self.picture})'

    def to_coco(self, image_id: int | str, category_ids: Mapping[str, int] | None = None) -> list[dict]:
        """Lines of a COCO result file, masks as compressed run lengths, with the names of file and class added.

        Args:
            category_ids: of each class name; by default 1, 2, 3 ... in the order of `class_names`.
        """
        if category_ids is None:
            category_ids = {name: number for number, name in enumerate(self.class_names, start=1)}
        rows = []
        columns = self.boxes.tolist(), self.scores.tolist(), self.names.tolist()
        for index, ((left, top, right, bottom), score, name) in enumerate(zip(*columns)):
            row: dict[str, Any] = dict(image_id=image_id)
            if self.picture.path is not None:
                row['file_name'] = self.picture.path.name
            if self.picture.frame is not None:
                row['frame'] = self.picture.frame
            box = [left, top, right - left, bottom - top]
            row |= dict(category_id=category_ids[name], category_name=name, bbox=box, score=score)
            if self._found.rles is not None:
                rle = self._found.rles[index]
                row['segmentation'] = dict(size=list(rle['size']), counts=rle['counts'].decode())
            rows.append(row)
        return rows

    def to_pandas(self) -> 'pandas.DataFrame':
        """A row for each: x1, y1, x2, y2, score, label, name, and mask_area where there are masks."""
        pandas = _optional('pandas', 'to_pandas()')
        columns = dict(zip(('x1', 'y1', 'x2', 'y2'), self.boxes.T))
        columns |= dict(score=self.scores, label=self.labels, name=self.names)
        if self.masks is not None:
            columns['mask_area'] = self.masks.areas
        return pandas.DataFrame(columns)

    def to_supervision(self) -> 'supervision.Detections':
        """The same for `supervision`: `data['class_name']` has the names, `mask` is decoded."""
        supervision = _optional('supervision', 'to_supervision()')
        return supervision.Detections(
            xyxy=self.boxes,
            mask=None if self.masks is None else np.asarray(self.masks),
            confidence=self.scores,
            class_id=self.labels,
            data={'class_name': self.names},
        )

    def image(self) -> np.ndarray:
        """What was looked at, [H, W, 3] uint8 in RGB, read again from its file.

        Raises:
            UserError: the file is gone.
        """
        try:
            return mmcv.bgr2rgb(as_picture(self.picture.read(self._reader)))
        except ValueError as error:
            raise UserError(f'{self.picture} cannot be read again: {error}') from error

    def plot(self) -> np.ndarray:
        """The image with the detections on it, [H, W, 3] uint8 in RGB; a small one is enlarged."""
        instances = InstanceData(bboxes=self.boxes, labels=self.labels, scores=self.scores)
        if self._found.rles is not None:
            instances.masks = EncodedMasks(self._found.rles, *self.image_size)
        return picture_of(self.image(), instances, self._dataset_meta)

    def save(self, path: str | Path) -> None:
        """Write `plot()` into an image file."""
        path = Path(path)
        try:
            is_written = mmcv.imwrite(mmcv.rgb2bgr(self.plot()), str(path))
        except Exception as error:  # of OpenCV, for a suffix that it does not know
            raise UserError(f'{path}: no picture can be written there; give a name in .jpg or .png') from error
        if not is_written:
            raise UserError(f'{path}: no picture can be written there; check the folder')


def _optional(package: str, what: str) -> ModuleType:
    try:
        return import_module(package)
    except ImportError as error:
        raise UserError(f'{what} needs the package {package}: pip install {package}') from error

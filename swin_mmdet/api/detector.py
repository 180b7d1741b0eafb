"""A trained detector for paths, arrays, PIL images, folders and videos."""

import copy
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from torch import nn

from swin_mmdet.api.detections import Detections
from swin_mmdet.api.look import batches, look, look_in_slices
from swin_mmdet.api.model_files import model_files
from swin_mmdet.api.pictures import Picture, has_video, is_endless, is_one, pictures
from swin_mmdet.api.slices import Slices, size_of_test
from swin_mmdet.api.training import evaluate_detector, train_detector
from swin_mmdet.config.check import check_names
from swin_mmdet.config.files import EXPORTED, existing_weights, read_config
from swin_mmdet.config.options import merge_options
from swin_mmdet.datasets.read_image import ImageReader, UnreadableImageError
from swin_mmdet.engine.inference import detect_in_views, detect_plainly, load_detector
from swin_mmdet.engine.language_models import check_language_models
from swin_mmdet.engine.load_weights import read_weights
from swin_mmdet.errors import UserError

SCORE_THR = 0.3


class Detector:
    """A detector with its weights.

    >>> from swin_mmdet import Detector
    >>> detector = Detector(WORK_DIR, device='cpu')
    >>> found = detector('photo.png')
    >>> found.boxes.shape == (len(found), 4)
    True
    >>> sure = found[found.scores > 0.5]
    >>> found.save('drawn.png')

    Args:
        model: a config; or a folder with a config and weights, such as the work-dir of a training.
        checkpoint: path or URL of weights, or an exported file; 'best' or 'last' of a folder. By default the best one
            of the folder, and its last good one where none scored.
        device: such as 'cuda:0' or 'cpu'; by default a GPU if there is one.
        score_thr: what scores less is left out; `detector.score_thr` may be set later.
        tta: look at several scales and flips of each image, as `--tta` of tools/predict.py.
        cfg_options: settings of the config by their dotted names, as `--cfg-options`.

    Raises:
        UserError: something is missing or does not fit; says what.
    """

    def __init__(
        self,
        model: str | Path | Config,
        checkpoint: str | Path | None = None,
        device: str | torch.device | None = None,
        score_thr: float = SCORE_THR,
        *,
        tta: bool = False,
        cfg_options: Mapping[str, object] | None = None,
    ) -> None:
        if isinstance(model, Config):
            if checkpoint is None:
                raise UserError('a detector of a Config needs weights: Detector(cfg, CHECKPOINT)')
            cfg, weights = copy.deepcopy(model), existing_weights(str(checkpoint), 'checkpoint')
        else:
            config, weights = model_files(model, checkpoint)
            cfg = read_config(config)
        if cfg_options:
            for line in merge_options(cfg, cfg_options):
                warnings.warn(line, stacklevel=2)
            check_names(cfg)
        check_language_models(cfg, ('model', 'test_dataloader'))
        self.checkpoint: str | None = weights
        if weights.endswith(EXPORTED):
            if tta:
                raise UserError(f'tta takes a checkpoint: {weights} is exported and has one view of an image')
            from swin_mmdet.export.evaluated import load_exported

            # which takes resizing out of the pipeline
            size = size_of_test(cfg.test_dataloader.dataset.pipeline)
            self._set(load_exported(cfg, weights), score_thr, tta=False, size=size)
        else:
            loaded = load_detector(cfg, read_weights(weights, 'checkpoint'), _existing_device(device))
            self._set(loaded, score_thr, tta, size_of_test(cfg.test_dataloader.dataset.pipeline))

    @classmethod
    def from_model(cls, model: nn.Module, score_thr: float = SCORE_THR, *, tta: bool = False) -> 'Detector':
        """Of a model that is there, with `cfg` and `dataset_meta` as mmdet's `init_detector` sets them."""
        detector = cls.__new__(cls)
        detector.checkpoint = None
        detector._set(model, score_thr, tta, size_of_test(get_test_pipeline_cfg(model.cfg)))
        return detector

    @classmethod
    def train(
        cls,
        data: str | Path | None,
        model: str | Path = 'mask-rcnn-tiny',
        *,
        score_thr: float = SCORE_THR,
        **options: Any,
    ) -> 'Detector':
        """Train as `tools/train.py`; the detector of the best checkpoint, or of the last one where none scored.

        Args:
            data: a folder of any layout, as `--data`; None for the data of the config.
            model: a config, or a short name of `tools/train.py --list`, whose settings are fitted to the data.
            score_thr: of the detector.
            options: those of the program: `epochs=12, batch_size=4, work_dir='runs/cats', freeze=['neck'], ema=True`.

        Raises:
            UserError: an option or the data are wrong.
        """
        return cls(train_detector(data, model, options), score_thr=score_thr)

    def evaluate(self, data: str | Path | None = None, **options: Any) -> dict[str, float]:
        """Evaluate as `tools/test.py`; the metrics by their names, such as `'coco/bbox_mAP'`.

        Args:
            data: a folder of any layout, as `--data`; None for the data of the config's test.
            options: those of the program: `show_dir='pictures', out='results.pkl'`.
        """
        return evaluate_detector(self.model, self.checkpoint, data, dict(tta=self._tta) | options)

    def export(self, out: str | Path, *, runtime: bool = False, **options: Any) -> Path:
        """Write a file that runs without mmdet, and prove it, as `tools/export.py`; it takes minutes.

        Args:
            out: its name, which ends as its kind does: .onnx, .pt2 ...
            runtime: write beside it what runs it.
            options: of `ExportOptions`, such as `size=(800, 1344)` or `max_detections=50`.

        Raises:
            UserError: this detector cannot be exported; says why.
        """
        from swin_mmdet.export import ExportOptions, export_checkpoint
        from swin_mmdet.export.targets import TARGETS

        out = Path(out)
        if self.checkpoint is None or self.checkpoint.endswith(EXPORTED):
            raise UserError('a detector of a checkpoint can be exported, and this one has none')
        kinds = {target.suffix: target.name for target in reversed(TARGETS)}
        options = {'to': kinds.get(out.suffix, 'onnx')} | options
        cfg = copy.deepcopy(self.cfg)
        for line in export_checkpoint(cfg, self.checkpoint, out, ExportOptions(**options), runtime=runtime):
            print(line, flush=True)
        return out

    def _set(self, model: nn.Module, score_thr: float, tta: bool, size: tuple[int, int] | None) -> None:
        self.model, self.score_thr, self._tta = model, score_thr, tta
        self._reader = ImageReader(get_test_pipeline_cfg(model.cfg))
        self._detect = detect_in_views(model) if tta else detect_plainly(model)
        self._test_size = size

    @property
    def class_names(self) -> tuple[str, ...]:
        return tuple(self.model.dataset_meta['classes'])

    @property
    def cfg(self) -> Config:
        """The whole config, with everything that it inherits."""
        return self.model.cfg

    def __call__(self, images: Any, batch_size: int = 1, slices: object = None) -> Any:
        """Find objects.

        Args:
            images: a path, an array [H, W, 3] uint8 in **RGB** (OpenCV's are BGR: `image[..., ::-1]`; grey, alpha and
                uint16 are read as files of them would be), a PIL image (turned as its EXIF says), a tensor [3, H, W]
                uint8 in RGB; or a list of these, an array [N, H, W, 3], a folder, a pattern such as 'photos/*.jpg'; or
                a video file, or an iterator.
            batch_size: images, or slices of one, that are looked at together. They are padded to one size, which
                changes results a little; with 1 they are those of tools/test.py to the last bit.
            slices: for images that are much larger than those of the training: True for tiles of the size of the
                config's test, a size, (height, width), or `Slices(...)`.

        Returns:
            Detections of one image; a list of them for several, with None, and a warning, in the place of a file that
            is no readable image; for a video and an iterator an iterator of them.

        Raises:
            UserError: no image there, or something that is none; a single image that cannot be read.
        """
        if is_one(images):
            ((picture, found),) = self.look(images, batch_size, slices)
            if isinstance(found, UnreadableImageError):
                raise UserError(f'{picture}: not a readable image ({found})')
            return found
        if is_endless(images):
            return self.stream(images, batch_size, slices)
        if has_video(images):
            raise UserError('a video among other images: give it alone, or take detector.stream(...)')
        return list(self.stream(images, batch_size, slices))

    def stream(self, images: Any, batch_size: int = 1, slices: object = None) -> Iterator[Detections | None]:
        """The same one after the other, for more images than one wants to keep the results of."""
        return (_warned(picture, found) for picture, found in self.look(images, batch_size, slices))

    def look(
        self, images: Any, batch_size: int = 1, slices: object = None
    ) -> Iterator[tuple[Picture, Detections | UnreadableImageError]]:
        """Each image with what was found in it, or with the reason why it cannot be read."""
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UserError(f'batch_size={batch_size!r}: give a number from 1 on')
        return self._look(pictures(images), batch_size, Slices.read(slices))

    def _look(
        self, images: Iterator[Picture], batch_size: int, slices: Slices | None
    ) -> Iterator[tuple[Picture, Detections | UnreadableImageError]]:
        # slices are the batch of one image
        for batch in batches(images, 1 if slices else batch_size):
            read = [_read(picture, self._reader) for picture in batch]
            whole = [image for image in read if not isinstance(image, UnreadableImageError)]
            if slices:
                options = self.score_thr, batch_size, self._test_size
                found = iter([look_in_slices(self._detect, image, slices, *options) for image in whole])
            else:
                found = iter(look(self._detect, whole, self.score_thr))
            for picture, image in zip(batch, read, strict=True):
                if isinstance(image, UnreadableImageError):
                    yield picture, image
                else:
                    meta, size = self.model.dataset_meta, image.shape[:2]
                    yield picture, Detections(next(found), meta, size, picture, self._reader)


def _read(picture: Picture, reader: ImageReader) -> Any:
    reader.damage = ''  # arrays may not ask it
    try:
        image = picture.read(reader)
    except UnreadableImageError as error:
        return error
    if reader.damage:
        warnings.warn(f'{picture} is damaged, and read as far as it goes: {reader.damage}', stacklevel=3)
    return image


def _warned(picture: Picture, found: Detections | UnreadableImageError) -> Detections | None:
    if isinstance(found, UnreadableImageError):
        warnings.warn(f'{picture} is skipped: not a readable image ({found})', stacklevel=3)
        return None
    return found


def _existing_device(device: str | torch.device | None) -> str | None:
    if device is None:
        return None
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        there = [f'cuda:{index}' for index in range(torch.cuda.device_count())]
        reason = str(error).splitlines()[0]
        raise UserError(f'no device {device} here: {reason}; there are {", ".join(["cpu", *there])}') from error
    return str(device)

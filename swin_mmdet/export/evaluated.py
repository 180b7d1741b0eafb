"""An exported file in the place of a detector: evaluated and drawn as its runtime finds it, resizing included."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures import SampleList
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.config import type_name
from swin_mmdet.config.files import existing
from swin_mmdet.errors import UserError
from swin_mmdet.export.runtime import Detector
from swin_mmdet.registry import MODELS

# what the runtime does itself
RESIZING = 'Resize', 'FixScaleResize', 'Pad'


@MODELS.register_module()
class ExportedDetector(BaseDetector):
    """Takes images [3, H, W] uint8 BGR, as files hold them, of any size.

    Args:
        classes: those of the data, if they are known.

    Raises:
        UserError: the file is none, has other classes, or needs a package that is missing.
    """

    def __init__(self, file: str, classes: Sequence[str] | None = None) -> None:
        super().__init__()
        try:
            self.detector = Detector(file)
        except ImportError as error:
            raise UserError(f'{file} needs {error.name}: pip install {error.name}') from error
        except ValueError as error:
            raise UserError(str(error)) from error
        own = self.detector.classes
        if classes is not None and list(classes) != own:
            raise UserError(f'{file} finds {_few(own)}, and the data of the config has {_few(classes)}, in this order')

    def predict(self, batch_inputs: list[Tensor], batch_data_samples: SampleList, **kwargs: Any) -> SampleList:
        """Samples with `pred_instances` in pixels of the original image."""
        del kwargs
        for image, sample in zip(batch_inputs, batch_data_samples, strict=True):
            rgb = np.ascontiguousarray(image.cpu().numpy()[::-1].transpose(1, 2, 0))
            found = self.detector(rgb, score_thr=0.0)
            tensors = {name: torch.from_numpy(np.asarray(one)) for name, one in found._asdict().items()
                       if one is not None}  # fmt: skip
            sample.pred_instances = InstanceData(bboxes=tensors.pop('boxes'), **tensors)
        return batch_data_samples

    def loss(self, batch_inputs: list[Tensor], batch_data_samples: SampleList) -> dict:
        """An exported file cannot be trained."""
        raise NotImplementedError

    def _forward(self, batch_inputs: list[Tensor], batch_data_samples: SampleList = None) -> tuple:
        raise NotImplementedError

    def extract_feat(self, batch_inputs: list[Tensor]) -> tuple[Tensor]:
        """It has no maps to show."""
        raise NotImplementedError


def _few(names: Sequence[str]) -> str:
    return f'{len(names)} classes ({", ".join(names[:4])}{", ..." if len(names) > 4 else ""})'


def use_exported(cfg: Config, path: str) -> None:
    """Put an exported file in the place of the detector of a config, in place.

    Raises:
        UserError: nothing is there.
    """
    existing(path, 'exported file')
    dataset = cfg.test_dataloader.dataset
    classes = (dataset.get('metainfo') or {}).get('classes')
    cfg.model = dict(type='swin_mmdet.ExportedDetector', file=path, classes=classes)
    dataset.pipeline = [step for step in dataset.pipeline if type_name(step) not in RESIZING]


def load_exported(cfg: Config, path: str) -> ExportedDetector:
    """The same as a detector that finds things in images, with its `cfg` and classes."""
    use_exported(cfg, path)
    model = MODELS.build(cfg.model).eval()
    model.cfg, model.dataset_meta = cfg, {'classes': tuple(model.detector.classes), 'palette': 'random'}
    return model

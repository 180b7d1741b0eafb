"""mmdet's two-stage detectors, whose predictions for sizes of batches that come again are replayed as CUDA graphs."""

from typing import TYPE_CHECKING

from mmdet.models.detectors import CascadeRCNN as MMDetCascadeRCNN
from mmdet.models.detectors import FasterRCNN as MMDetFasterRCNN
from mmdet.models.detectors import MaskRCNN as MMDetMaskRCNN
from mmdet.models.utils import samplelist_boxtype2tensor
from mmdet.structures import SampleList
from torch import Tensor

from swin_mmdet.recording.recorded_prediction import RecordedPrediction
from swin_mmdet.registry import MODELS

if TYPE_CHECKING:
    from mmdet.models.detectors import TwoStageDetector as Base
else:
    Base = object


class RecordedTwoStage(Base):
    """Goes before one of mmdet's two-stage detectors in the bases of a class: see `RecordedPrediction`."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._recorded = RecordedPrediction()

    def train(self, mode: bool = True) -> 'RecordedTwoStage':
        """As of any module; a training needs the memory of recorded predictions."""
        if mode:
            self._recorded.forget()
        return super().train(mode)

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Samples with `pred_instances`."""
        results = self._recorded(self, batch_inputs, batch_data_samples, rescale)
        if results is None:
            return super().predict(batch_inputs, batch_data_samples, rescale)
        # of ground truth; mmdet does it with the detections as well, which would wait for them
        samplelist_boxtype2tensor(batch_data_samples)
        for sample, found in zip(batch_data_samples, results, strict=True):
            sample.pred_instances = found
        return batch_data_samples


@MODELS.register_module()
class FasterRCNN(RecordedTwoStage, MMDetFasterRCNN):
    """mmdet's `FasterRCNN`: same parameters, arguments and results."""


@MODELS.register_module()
class MaskRCNN(RecordedTwoStage, MMDetMaskRCNN):
    """mmdet's `MaskRCNN`: same parameters, arguments and results."""


@MODELS.register_module()
class CascadeRCNN(RecordedTwoStage, MMDetCascadeRCNN):
    """mmdet's `CascadeRCNN`: same parameters, arguments and results."""

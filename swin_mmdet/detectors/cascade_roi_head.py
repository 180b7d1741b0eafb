"""mmdet's cascade of R-CNN heads for a batch at once."""

from mmdet.models.roi_heads import CascadeRoIHead as MMDetCascadeRoIHead

from swin_mmdet.detectors.cascade_training import BatchedCascadeTraining
from swin_mmdet.detectors.prediction import BatchedCascadePrediction
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class CascadeRoIHead(BatchedCascadeTraining, BatchedCascadePrediction, MMDetCascadeRoIHead):
    """mmdet's `CascadeRoIHead`, of Cascade (Mask) R-CNN: same parameters, arguments, losses and detections.

    What is set otherwise (another assigner, sampler, loss or head) trains or predicts as in mmdet; the log says so.
    """

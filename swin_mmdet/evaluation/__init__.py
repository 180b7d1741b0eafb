"""COCO metric on a fast evaluator, and the ids of COCO's result files."""

import swin_mmdet.registry  # noqa: F401  mmdet can be imported only after it
from swin_mmdet.evaluation.coco_eval import evaluate_coco
from swin_mmdet.evaluation.coco_metric import CocoMetric
from swin_mmdet.evaluation.coco_results import CocoIds
from swin_mmdet.evaluation.kept_detections import KeptDetections, kept_detections
from swin_mmdet.evaluation.scores import CocoScores

__all__ = [
    'CocoIds',
    'CocoMetric',
    'CocoScores',
    'KeptDetections',
    'evaluate_coco',
    'kept_detections',
]

"""COCO metric on a fast evaluator, and detections as COCO's result files have them."""

import swin_mmdet.registry  # noqa: F401  mmdet can be imported only after it
from swin_mmdet.evaluation.coco_eval import evaluate_coco
from swin_mmdet.evaluation.coco_metric import CocoMetric
from swin_mmdet.evaluation.coco_results import CocoIds, coco_results
from swin_mmdet.evaluation.kept_detections import KeptDetections, kept_detections
from swin_mmdet.evaluation.scores import CocoScores

__all__ = [
    'CocoIds',
    'CocoMetric',
    'CocoScores',
    'KeptDetections',
    'coco_results',
    'evaluate_coco',
    'kept_detections',
]

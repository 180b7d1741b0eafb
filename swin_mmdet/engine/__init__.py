"""A run besides its model: runners, weights, length and schedule, optimizer, averages, parts that stay, the log."""

from swin_mmdet.engine.ema_hook import EMAHook
from swin_mmdet.engine.frozen_parts import FreezeHook, freeze
from swin_mmdet.engine.guards import (
    BrokenImagesHook,
    LostProcessHook,
    NonFiniteHook,
    OutOfMemoryHook,
    StopHook,
    WorkDirHook,
)
from swin_mmdet.engine.keep_detections_hook import KeepDetectionsHook
from swin_mmdet.engine.layer_decay import LayerDecayOptimWrapperConstructor
from swin_mmdet.engine.load_weights import load_weights, read_weights
from swin_mmdet.engine.optim_wrapper_constructor import OptimWrapperConstructor
from swin_mmdet.engine.resuming import EpochBasedTrainLoop, IterBasedTrainLoop
from swin_mmdet.engine.runner import LoadingRunner, StrictRunner, TrainingRunner
from swin_mmdet.engine.runtime_info_hook import RuntimeInfoHook
from swin_mmdet.engine.saving import CheckpointHook

__all__ = [
    'BrokenImagesHook',
    'CheckpointHook',
    'EMAHook',
    'EpochBasedTrainLoop',
    'FreezeHook',
    'IterBasedTrainLoop',
    'KeepDetectionsHook',
    'LayerDecayOptimWrapperConstructor',
    'LoadingRunner',
    'LostProcessHook',
    'NonFiniteHook',
    'OptimWrapperConstructor',
    'OutOfMemoryHook',
    'RuntimeInfoHook',
    'StopHook',
    'StrictRunner',
    'TrainingRunner',
    'WorkDirHook',
    'freeze',
    'load_weights',
    'read_weights',
]

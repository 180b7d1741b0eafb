"""A run that goes on from a checkpoint as if it had never ended."""

from swin_mmdet.engine.resuming.train_loops import EpochBasedTrainLoop, IterBasedTrainLoop

__all__ = ['EpochBasedTrainLoop', 'IterBasedTrainLoop']

"""Checkpoints that a kill at any moment leaves whole."""

from swin_mmdet.engine.saving.checkpoint_hook import CheckpointHook

__all__ = ['CheckpointHook']

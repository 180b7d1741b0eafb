"""Whole training steps as CUDA graphs: what is recorded, of which sizes, and when a step runs without."""

from swin_mmdet.recording.record_steps_hook import RecordStepsHook

__all__ = ['RecordStepsHook']

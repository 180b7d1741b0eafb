"""Whole steps as CUDA graphs, of training and of inference: what is recorded, and when a step runs without."""

from swin_mmdet.recording.record_steps_hook import RecordStepsHook
from swin_mmdet.recording.two_stage import CascadeRCNN, FasterRCNN, MaskRCNN

__all__ = ['CascadeRCNN', 'FasterRCNN', 'MaskRCNN', 'RecordStepsHook']

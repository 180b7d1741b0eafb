"""Swin Transformer detectors for MMDetection 3.x on any current PyTorch. Importing this package imports no torch."""

__version__ = '0.1.0'

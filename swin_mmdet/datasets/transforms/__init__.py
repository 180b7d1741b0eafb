"""Steps of a training pipeline that keep masks small and images as they were decoded."""

from swin_mmdet.datasets.transforms.albu import Albu
from swin_mmdet.datasets.transforms.insta_boost import InstaBoost
from swin_mmdet.datasets.transforms.load_annotations import LoadAnnotations
from swin_mmdet.datasets.transforms.load_image import LoadImageFromFile
from swin_mmdet.datasets.transforms.pack_det_inputs import PackDetInputs
from swin_mmdet.datasets.transforms.random_flip import RandomFlip

__all__ = ['Albu', 'InstaBoost', 'LoadAnnotations', 'LoadImageFromFile', 'PackDetInputs', 'RandomFlip']

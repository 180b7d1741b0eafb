"""COCO-format data of the user's own, found, described and checked before any long work."""

import swin_mmdet.compat  # noqa: F401  mmdet can be imported only after it
from swin_mmdet.datasets.check import check_config, check_folder, find_problems
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.coco_dataset import CocoDataset
from swin_mmdet.datasets.coco_file import CocoFile, read_coco
from swin_mmdet.datasets.data_folder import move_data, use_folder
from swin_mmdet.datasets.describe import describe
from swin_mmdet.datasets.discover import CocoFolder, discover
from swin_mmdet.datasets.label_order import label_by_name
from swin_mmdet.datasets.layouts import find_data
from swin_mmdet.datasets.problems import DatasetCheckError, Problem

__all__ = [
    'CheckOptions',
    'CocoDataset',
    'CocoFile',
    'CocoFolder',
    'DatasetCheckError',
    'Problem',
    'check_config',
    'check_folder',
    'describe',
    'discover',
    'find_data',
    'find_problems',
    'label_by_name',
    'move_data',
    'read_coco',
    'use_folder',
]

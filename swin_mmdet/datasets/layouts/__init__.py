"""Folders of data as programs for labelling write them, recognised by their content and read as COCO."""

from swin_mmdet.datasets.layouts.convert import Converted, Split, convert, find_data
from swin_mmdet.datasets.layouts.errors import LayoutError
from swin_mmdet.datasets.layouts.folder import DataFolder
from swin_mmdet.datasets.layouts.table import LAYOUTS, Layout, find_layout
from swin_mmdet.datasets.layouts.write import check_new, write_folder

__all__ = [
    'LAYOUTS',
    'Converted',
    'DataFolder',
    'Layout',
    'LayoutError',
    'Split',
    'check_new',
    'convert',
    'find_data',
    'find_layout',
    'write_folder',
]

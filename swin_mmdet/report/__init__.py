"""A page about a training, its errors and its data, or about data before a training, that needs no network.

Each name is imported when it is first asked for: what reads the history of a run needs no other package.
"""

from swin_mmdet.lazy import attributes as _attributes

__all__ = [
    'CheckPage',
    'History',
    'Series',
    'page_of_config',
    'page_of_file',
    'page_of_folder',
    'read_history',
    'write_report',
]
__getattr__ = _attributes(
    __name__,
    CheckPage='swin_mmdet.report.check_page',
    History='swin_mmdet.report.history',
    Series='swin_mmdet.report.history',
    page_of_config='swin_mmdet.report.check_page',
    page_of_file='swin_mmdet.report.check_page',
    page_of_folder='swin_mmdet.report.check_page',
    read_history='swin_mmdet.report.history',
    write_report='swin_mmdet.report.run_report',
)

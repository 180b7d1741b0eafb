"""What ends a run in order, or keeps it from an end: signals, NaN, broken images, lost processes, a taken work-dir."""

from swin_mmdet.engine.guards.broken_images_hook import BrokenImagesHook
from swin_mmdet.engine.guards.guard import guard
from swin_mmdet.engine.guards.lost_process_hook import LostProcessHook, lost_process_named
from swin_mmdet.engine.guards.non_finite_hook import NonFiniteHook
from swin_mmdet.engine.guards.out_of_memory_hook import OutOfMemoryHook
from swin_mmdet.engine.guards.stop_hook import StopHook
from swin_mmdet.engine.guards.work_dir import WorkDirHook, check_work_dir

__all__ = [
    'BrokenImagesHook',
    'LostProcessHook',
    'NonFiniteHook',
    'OutOfMemoryHook',
    'StopHook',
    'WorkDirHook',
    'check_work_dir',
    'guard',
    'lost_process_named',
]

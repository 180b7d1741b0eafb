"""What a training run does besides the model: its optimizer's groups and its log."""

from swin_mmdet.engine.optim_wrapper_constructor import OptimWrapperConstructor
from swin_mmdet.engine.runtime_info_hook import RuntimeInfoHook

__all__ = ['OptimWrapperConstructor', 'RuntimeInfoHook']

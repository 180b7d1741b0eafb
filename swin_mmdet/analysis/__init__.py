"""What a detector costs: parameters, operations and the memory of a training step, without running one."""

import swin_mmdet.compat  # noqa: F401  mmdet can be imported only after it
from swin_mmdet.analysis.build import build_without_weights
from swin_mmdet.analysis.cost import PartCost, count_macs, count_saved_bytes, measure_cost

__all__ = ['PartCost', 'build_without_weights', 'count_macs', 'count_saved_bytes', 'measure_cost']

"""What a detector costs: parameters, operations and the memory of a training step, without running one."""

from swin_mmdet.analysis.cost import PartCost, count_macs, count_saved_bytes, measure_cost

__all__ = ['PartCost', 'count_macs', 'count_saved_bytes', 'measure_cost']

"""Functions on tensors: no parameters, no modules, no framework. On NVIDIA GPUs most of them are kernels of Triton.

Letters of shapes: B images, H and W their rows and columns, C channels, N boxes, anchors or tokens of an image, K
classes. Boxes are corners (x1, y1, x2, y2) in pixels where nothing else is said.
"""

from swin_mmdet.ops.adaptive_assignment import assign_adaptively
from swin_mmdet.ops.batched_nms import batched_nms
from swin_mmdet.ops.box_assignment import AssignmentRule, assign_boxes
from swin_mmdet.ops.box_deltas import clip_boxes, decode_boxes, encode_boxes
from swin_mmdet.ops.box_overlaps import centers_of, corners_of, overlaps
from swin_mmdet.ops.box_sampling import sample_boxes
from swin_mmdet.ops.deformable_attention import deformable_attention, sample_levels
from swin_mmdet.ops.deformable_convolution import deformable_convolution
from swin_mmdet.ops.dynamic_head import Levels, blend_levels, convolve_levels, segment_moments
from swin_mmdet.ops.focal_loss import focal_loss
from swin_mmdet.ops.mask_points import sample_features, sample_labels, sample_masks
from swin_mmdet.ops.mask_runs import boxes_of_masks
from swin_mmdet.ops.mask_targets import mask_targets, unpack_masks
from swin_mmdet.ops.multiclass_nms import (
    Candidates,
    Detections,
    find_candidates,
    labelled_nms,
    multiclass_nms,
    soft_multiclass_nms,
)
from swin_mmdet.ops.normalize_images import normalize_images
from swin_mmdet.ops.pair_costs import distance_cost, focal_cost, probability_cost, token_cost
from swin_mmdet.ops.paste_masks import paste_masks
from swin_mmdet.ops.quality_focal_loss import quality_focal_loss
from swin_mmdet.ops.relative_position import (
    relative_coords_table,
    relative_position_bias,
    relative_position_index,
    resize_bias_table,
)
from swin_mmdet.ops.roi_align import pyramid_roi_align
from swin_mmdet.ops.shifted_window_attention import shifted_window_attention
from swin_mmdet.ops.soft_label_assignment import SoftLabelSettings, assign_soft_labels
from swin_mmdet.ops.soft_nms import SoftNms, soft_nms
from swin_mmdet.ops.windows import pad_to_windows, shift_mask, window_partition, window_reverse

__all__ = [
    'AssignmentRule',
    'Candidates',
    'Detections',
    'Levels',
    'SoftLabelSettings',
    'SoftNms',
    'assign_adaptively',
    'assign_boxes',
    'assign_soft_labels',
    'batched_nms',
    'blend_levels',
    'boxes_of_masks',
    'centers_of',
    'clip_boxes',
    'convolve_levels',
    'corners_of',
    'decode_boxes',
    'deformable_attention',
    'deformable_convolution',
    'distance_cost',
    'encode_boxes',
    'find_candidates',
    'focal_cost',
    'focal_loss',
    'labelled_nms',
    'mask_targets',
    'multiclass_nms',
    'normalize_images',
    'overlaps',
    'pad_to_windows',
    'paste_masks',
    'probability_cost',
    'pyramid_roi_align',
    'quality_focal_loss',
    'relative_coords_table',
    'relative_position_bias',
    'relative_position_index',
    'resize_bias_table',
    'sample_boxes',
    'sample_features',
    'sample_labels',
    'sample_levels',
    'sample_masks',
    'segment_moments',
    'shift_mask',
    'shifted_window_attention',
    'soft_multiclass_nms',
    'soft_nms',
    'token_cost',
    'unpack_masks',
    'window_partition',
    'window_reverse',
]

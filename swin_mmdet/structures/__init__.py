"""What travels between rooms: masks from the annotation file to the loss and back, and a batch's boxes."""

import swin_mmdet.compat  # noqa: F401  mmdet can be imported only after it
from swin_mmdet.structures.compact_masks import CompactMasks
from swin_mmdet.structures.encoded_masks import EncodedMasks
from swin_mmdet.structures.gather_objects import gather_objects
from swin_mmdet.structures.lazy_masks import LazyMasks
from swin_mmdet.structures.objects import Objects
from swin_mmdet.structures.packed_masks import PackedMasks
from swin_mmdet.structures.proposals import BatchedProposals, boxes_of
from swin_mmdet.structures.sampled_regions import SampledRegions, rois_of
from swin_mmdet.structures.static_batch import PredictionBatch, StaticBatch, static_batch
from swin_mmdet.structures.training_batch import TrainingBatch, training_batch

__all__ = [
    'BatchedProposals',
    'CompactMasks',
    'EncodedMasks',
    'LazyMasks',
    'Objects',
    'PackedMasks',
    'PredictionBatch',
    'SampledRegions',
    'StaticBatch',
    'TrainingBatch',
    'boxes_of',
    'gather_objects',
    'rois_of',
    'static_batch',
    'training_batch',
]

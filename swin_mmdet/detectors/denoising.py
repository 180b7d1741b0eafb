"""Queries of DINO (arXiv 2203.03605, section 3.3) that are objects with noise, of a batch at once.

An image has groups of queries: of each object one near to it, then of each object one that is farther off. An image
with fewer objects than another has queries of nothing in their place.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from mmdet.models.layers import CdnQueryGenerator as MMDetCdnQueryGenerator
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.image_sizes import image_sizes
from swin_mmdet.detectors.set_matching import Matches, gather_matches, number_pairs
from swin_mmdet.ops.box_overlaps import centers_of
from swin_mmdet.ops.coordinates import inverse_sigmoid
from swin_mmdet.structures import gather_objects

# a share of the image from which on a coordinate may be told from 0 and 1
NEAREST = 1e-3


class CdnQueryGenerator(MMDetCdnQueryGenerator):
    """mmdet's `CdnQueryGenerator`: same parameters, arguments and distribution, without synchronising with a GPU."""

    def __call__(self, batch_data_samples: SampleList) -> tuple[Tensor, Tensor, Tensor, dict[str, int]]:
        """Labels' embeddings [B, D, C], boxes before the sigmoid [B, D, 4], attention mask, and numbers, as mmdet's."""
        instances = [sample.gt_instances for sample in batch_data_samples]
        max_objects = max(len(image.bboxes) for image in instances)
        groups = self.get_num_groups(max_objects)
        objects = gather_objects(instances)
        # without objects a batch is padded to one
        boxes, labels = objects.boxes[:, :max_objects], objects.labels[:, :max_objects]
        boxes = boxes / image_sizes([sample.metainfo for sample in batch_data_samples], boxes)[:, None]
        exists = torch.arange(max_objects, device=boxes.device) < objects.counts[:, None]
        # [B, groups, near and far, objects]
        exists = exists[:, None, None].expand(-1, groups, 2, -1)
        labels = self._noisy_labels(labels[:, None, None].expand_as(exists))
        boxes = self._noisy_boxes(boxes[:, None, None].expand(*exists.shape, 4))
        nothing = ~exists.flatten(1)[..., None]
        return (
            self.label_embedding(labels.flatten(1)).masked_fill(nothing, 0),
            inverse_sigmoid(boxes, NEAREST).flatten(1, 3).masked_fill(nothing, 0),
            attention_mask(max_objects, groups, self.num_matching_queries, boxes.device),
            {'num_denoising_queries': 2 * groups * max_objects, 'num_denoising_groups': groups},
        )

    def _noisy_labels(self, labels: Tensor) -> Tensor:
        """Of some labels [B, groups, 2, objects] another one, or by chance the same."""
        changed = torch.rand(labels.shape, device=labels.device) < self.label_noise_scale * 0.5
        return torch.where(changed, torch.randint_like(labels, 0, self.num_classes), labels)

    def _noisy_boxes(self, boxes: Tensor) -> Tensor:
        """Corners [B, groups, 2, objects, 4] -> centers and sizes, within the image.

        Each of the four is moved by a share of half the box's size: less than one of the near, one to two of the far.
        """
        share = torch.rand_like(boxes)
        share[:, :, 1] += 1
        sign = torch.randint_like(boxes, 0, 2) * 2 - 1
        sizes = (boxes[..., 2:] - boxes[..., :2]).repeat(1, 1, 1, 1, 2)
        boxes = boxes + share * sign * sizes * (self.box_noise_scale / 2)
        return centers_of(boxes.clamp(min=0, max=1))


def denoising_matches(instances: Sequence[InstanceData], dn_meta: dict[str, int], layers: int) -> Matches:
    """The near queries and their objects: known without looking at what is predicted, and the same in all layers."""
    queries, groups = dn_meta['num_denoising_queries'], dn_meta['num_denoising_groups']
    sizes = [len(image.bboxes) for image in instances]
    starts = np.arange(groups)[:, None] * (queries // groups)
    pairs = [(np.tile(np.arange(size), groups), (starts + np.arange(size)).ravel()) for size in sizes]
    matches = gather_matches(number_pairs(pairs, sizes, queries)[:, None], [groups * size for size in sizes], instances)
    return matches.each(lambda part: part.expand(layers, *part.shape[1:]))


@lru_cache(maxsize=64)
def attention_mask(objects: int, groups: int, matching: int, device: torch.device) -> Tensor:
    """What a query [Q, Q] bool does not look at: queries of other groups, and one that is to be matched, of any.

    Made once and shared: not to be written into.
    """
    with torch.inference_mode(False):
        group = torch.arange(groups, device=device).repeat_interleave(2 * objects)
        group = torch.cat([group, group.new_full((matching,), groups)])
        return (group != groups)[None] & (group[None] != group[:, None])

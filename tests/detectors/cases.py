"""Ground truth and features for parts of detectors."""

import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.task_modules import RandomSampler
from mmengine.structures import InstanceData

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# images without objects, with one, with many; boxes beyond the border, boxes without a size
COUNTS = {'some': (3, 7), 'none': (0, 0), 'none and one': (0, 1), 'five hundred': (500, 2), 'odd': (6, 6)}


def images(kind, shapes, classes=3, seed=0):
    """`gt_instances` and metainfo of images of `shapes`, padded together."""
    generator = torch.Generator().manual_seed(seed)
    height, width = (max(32 * -(-shape[axis] // 32) for shape in shapes) for axis in (0, 1))
    instances, metas = [], []
    for count, (high, wide) in zip(COUNTS[kind], shapes, strict=True):
        corners = torch.rand(count, 2, 2, generator=generator) * torch.tensor([wide, high])
        boxes = torch.cat([corners.amin(1), corners.amax(1)], 1)
        if kind == 'odd':
            boxes[0] = boxes[0] * 3  # reaches beyond the border
            boxes[1, 2:] = boxes[1, :2]
            boxes[2] += wide * 2  # lies outside
        labels = torch.randint(classes, (count,), generator=generator)
        instances.append(InstanceData(bboxes=boxes.to(DEVICE), labels=labels.to(DEVICE)))
        padded = 32 * -(-high // 32), 32 * -(-wide // 32)
        metas.append({
            'img_shape': (high, wide), 'pad_shape': padded, 'batch_input_shape': (height, width),
            'ori_shape': (high, wide), 'scale_factor': (1.0, 1.0),
        })  # fmt: skip
    return instances, metas, (height, width)


def record(module, monkeypatch, present=None):
    """What `sample_boxes` draws in this module from now on: of every image the places of its positives and negatives.

    As mmdet numbers them: without what an image does not have, which `present` says; without it that is what is
    assigned to nothing.
    """
    drawn, sample = [], module.sample_boxes

    def sample_and_keep(assigned, **options):
        places, found = sample(assigned, **options)
        # mmdet sorts those of a kind, and a cascade's next boxes are in the order of these
        first = options['max_positive']
        key = places.masked_fill(found < 0, assigned.shape[1])
        order = torch.cat([key[:, :first].argsort(1), key[:, first:].argsort(1) + min(first, assigned.shape[1])], 1)
        places, found = places.gather(1, order), found.gather(1, order)
        number = (assigned >= 0 if present is None else present).long().cumsum(1) - 1
        for image, place, kind in zip(number, places, found, strict=True):
            drawn.append((image[place[kind > 0]], image[place[kind == 0]]))
        return places, found

    monkeypatch.setattr(module, 'sample_boxes', sample_and_keep)
    return drawn


class SameSampler(RandomSampler):
    """mmdet's sampler that takes what `record` has, an image after another."""

    def __init__(self, sampler, drawn):
        super().__init__(sampler.num, sampler.pos_fraction, sampler.neg_pos_ub, sampler.add_gt_as_proposals)
        self.drawn = drawn

    def _sample_pos(self, assign_result, num_expected, **kwargs):
        del assign_result, num_expected, kwargs
        return self.drawn[0][0]

    def _sample_neg(self, assign_result, num_expected, **kwargs):
        del assign_result, num_expected, kwargs
        return self.drawn.pop(0)[1]

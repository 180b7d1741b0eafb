"""Ground truth and features for parts of detectors."""

import torch
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

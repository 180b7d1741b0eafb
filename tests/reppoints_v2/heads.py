"""Small heads and the maps and objects they are tried on."""

from pathlib import Path

import numpy as np
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor, nn

CHANNELS = 64
CLASSES = 3
CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


def build_head(with_masks: bool = False, **changes) -> nn.Module:
    """That of the published model, with fewer layers, channels and classes."""
    name = 'mask-reppoints-v2_swin-t_bifpn' if with_masks else 'reppoints-v2_swin-t_bifpn'
    model = Config.fromfile(CONFIGS / f'_base_/models/{name}.py').model
    cfg = model.bbox_head
    if with_masks:
        cfg.mask_head.update(in_channels=CHANNELS, channels=16, num_convs=1)
    cfg.update(
        num_classes=CLASSES, in_channels=CHANNELS, feat_channels=CHANNELS, point_feat_channels=CHANNELS,
        stacked_convs=1, train_cfg=model.train_cfg, test_cfg=model.test_cfg, **changes,
    )
    head = MODELS.build(cfg)
    head.init_weights()
    return head


def pyramid(height: int, width: int, images: int = 2) -> list[Tensor]:
    """Random maps of strides 8 to 128 for images of a size that need not be a multiple of these."""
    maps = []
    for stride in (8, 16, 32, 64, 128):
        maps.append(torch.randn(images, CHANNELS, -(-height // stride), -(-width // stride)))
    return maps


def sample(height: int, width: int, boxes: list, labels: list, scale: float = 1.0) -> DetDataSample:
    """An image that was resized by `scale`, with rectangles as objects."""
    shape = height, width
    masks = np.zeros((len(boxes), *shape), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes):
        mask[int(top) : int(bottom), int(left) : int(right)] = 1
    found = DetDataSample(
        metainfo=dict(
            img_shape=shape, pad_shape=shape, ori_shape=(round(height / scale), round(width / scale)),
            scale_factor=(scale, scale),
        )
    )
    found.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long),
        masks=BitmapMasks(masks, *shape),
    )
    return found

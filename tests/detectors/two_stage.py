"""Small two-stage detectors of mmdet's configs, and what their RoI heads take."""

from pathlib import Path

import mmdet
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine import Config
from mmengine.structures import InstanceData

CHANNELS, CLASSES, STRIDES = 8, 5, (4, 8, 16, 32)
CONFIGS = {
    'faster': 'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'mask': 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'cascade': 'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    'cascade mask': 'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py',
    'htc': 'htc/htc-without-semantic_r50_fpn_1x_coco.py',
    'htc semantic': 'htc/htc_r50_fpn_1x_coco.py',
    'sabl': 'sabl/sabl-faster-rcnn_r50_fpn_1x_coco.py',
}
# shape the model saw, scale factor (width, height), original shape
IMAGES = [((96, 128), (1.6, 1.6), (60, 80)), ((128, 90), (0.5, 0.53), (241, 180)), ((64, 64), (1.0, 1.0), (64, 64))]


def roi_head_config(name: str) -> dict:
    """An mmdet RoI head for maps of few channels; its `test_cfg` lets a random model detect something."""
    register_all_modules()
    model = Config.fromfile(Path(mmdet.__file__).parent / '.mim' / 'configs' / CONFIGS[name]).model
    config = model.roi_head
    config.test_cfg = model.test_cfg.rcnn
    for part in ('bbox_roi_extractor', 'mask_roi_extractor', 'semantic_roi_extractor'):
        if part in config:
            config[part].out_channels = CHANNELS
    bbox_heads = config.bbox_head if isinstance(config.bbox_head, list) else [config.bbox_head]
    for head in bbox_heads:
        head.num_classes = CLASSES
        if head.type == 'SABLHead':
            inner = ('cls_in', 'reg_in', 'cls_out', 'reg_offset_out', 'reg_cls_out')
            head.update({f'{name}_channels': CHANNELS for name in inner})
        else:
            head.update(in_channels=CHANNELS, fc_out_channels=32)
    if 'mask_head' in config:
        for head in config.mask_head if isinstance(config.mask_head, list) else [config.mask_head]:
            head.update(in_channels=CHANNELS, conv_out_channels=CHANNELS, num_convs=1, num_classes=CLASSES)
    if 'semantic_head' in config:
        config.semantic_head.update(in_channels=CHANNELS, conv_out_channels=CHANNELS, num_convs=1, num_ins=len(STRIDES))
    return config


def build(config: dict, seed: int = 0) -> torch.nn.Module:
    """In evaluation mode; weights so large that scores, boxes and masks differ from place to place, no biases."""
    torch.manual_seed(seed)
    head = MODELS.build(config).eval()
    for name, weight in head.named_parameters():
        last = 'fc_cls' in name or ('mask_head' in name and 'conv_logits' in name)
        # a semantic map does not outdo the others
        usual = 0.1 if 'semantic_head' in name else 0.3
        torch.nn.init.normal_(weight, std=(3 if last else usual) * (weight.ndim > 1))
    return head


def features(images: int, seed: int = 1) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(seed)
    return tuple(torch.randn(images, CHANNELS, 128 // stride, 128 // stride) for stride in STRIDES)


def proposals(counts: list[int], seed: int = 2) -> list[InstanceData]:
    torch.manual_seed(seed)
    results = []
    for count, (shape, _, _) in zip(counts, IMAGES):
        corners = (torch.rand(count, 2, 2) * torch.tensor(shape[::-1])).sort(dim=1).values
        results.append(InstanceData(bboxes=corners.flatten(1)))
    return results


def samples(images: int) -> list[DetDataSample]:
    return [
        DetDataSample(metainfo=dict(img_shape=shape, scale_factor=scale, ori_shape=original, img_id=index))
        for index, (shape, scale, original) in enumerate(IMAGES[:images])
    ]

"""Small detectors of our parts, and batches of drawn objects for them."""

from pathlib import Path

import numpy as np
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.structures import InstanceData

from swin_mmdet.structures import PackedMasks

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
CLASSES = 3
CASES = {
    'mask': 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'faster': 'swin/faster-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'cascade mask': 'swin/cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'retinanet': 'swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py',
    'atss': 'atss/atss_swin-t-p4-w7_fpn_3x_coco.py',
}
ONE_STAGE = 'retinanet', 'atss'
WITHOUT_MASKS = 'faster', *ONE_STAGE


def make_small_rcnn(cfg):
    """With so many samples that all boxes are drawn, whatever the dice say."""
    cfg.neck.update(in_channels=[16, 32, 64, 128], out_channels=16)
    cfg.rpn_head.update(in_channels=16, feat_channels=16)
    cfg.rpn_head.anchor_generator.scales = [2]
    heads = cfg.roi_head.bbox_head if isinstance(cfg.roi_head.bbox_head, list) else [cfg.roi_head.bbox_head]
    for head in heads:
        head.update(num_classes=CLASSES, in_channels=16, fc_out_channels=32)
        if 'conv_out_channels' in head or '4Conv' in head.type:
            head.update(type='ConvFCBBoxHead', num_shared_convs=1, num_shared_fcs=1, conv_out_channels=8)
            head.norm_cfg = dict(type='BN')
    if cfg.roi_head.get('mask_head'):
        masks = cfg.roi_head.mask_head if isinstance(cfg.roi_head.mask_head, list) else [cfg.roi_head.mask_head]
        for head in masks:
            head.update(num_classes=CLASSES, in_channels=16, conv_out_channels=16, num_convs=1)
        cfg.roi_head.mask_roi_extractor.out_channels = 16
    cfg.roi_head.bbox_roi_extractor.out_channels = 16
    cfg.train_cfg.rpn.sampler.update(num=100_000, pos_fraction=0.5)
    cfg.train_cfg.rpn_proposal.update(nms_pre=60, max_per_img=60)
    stages = cfg.train_cfg.rcnn if isinstance(cfg.train_cfg.rcnn, list) else [cfg.train_cfg.rcnn]
    for stage in stages:
        stage.sampler.update(num=400, pos_fraction=0.5)


def small_detector(name, **options):
    """In training mode, with weights of another kind than at the start of a training."""
    cfg = Config.fromfile(CONFIGS / CASES[name]).model
    cfg.backbone = dict(
        type='swin_mmdet.SwinTransformer', embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2),
        drop_path_rate=0.0, out_indices=cfg.backbone.get('out_indices', (0, 1, 2, 3)),
    )  # fmt: skip
    if name in ONE_STAGE:
        maps = cfg.backbone.out_indices
        cfg.neck.update(in_channels=[16 << index for index in maps], out_channels=16)
        cfg.bbox_head.update(num_classes=CLASSES, in_channels=16, feat_channels=16, stacked_convs=1)
        # of 16 channels
        cfg.bbox_head.norm_cfg = dict(type='GN', num_groups=4)
    else:
        make_small_rcnn(cfg)
    cfg.backbone.update(options)
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.5 * parameter[0].numel() ** -0.5)
    return model.train()


def batch(counts=(3, 5), sizes=((64, 96), (96, 64)), seed=0, with_masks=True):
    """What a loader gives: uint8 images of `sizes` with as many objects as `counts`."""
    generator = np.random.default_rng(seed)
    inputs, samples = [], []
    for count, (height, width) in zip(counts, sizes, strict=True):
        inputs.append(torch.from_numpy(generator.integers(256, size=(3, height, width), dtype=np.uint8)))
        side = generator.uniform(8, 48, (count, 2))
        corner = generator.uniform(0, 1, (count, 2)) * ((width, height) - side)
        boxes = np.concatenate([corner, corner + side], 1).reshape(-1, 4)
        bitmaps = np.zeros((count, height, width), np.uint8)
        for bitmap, (x1, y1, x2, y2) in zip(bitmaps, boxes.astype(int), strict=True):
            bitmap[y1:y2, x1 : (x1 + x2) // 2 + 1] = 1
        instances = InstanceData(
            bboxes=torch.from_numpy(boxes).float(), labels=torch.from_numpy(generator.integers(CLASSES, size=count))
        )
        if with_masks:
            instances.masks = PackedMasks.from_bitmap(BitmapMasks(bitmaps, height, width))
        meta = {
            'img_shape': (height, width), 'ori_shape': (height, width), 'scale_factor': (1.0, 1.0), 'img_id': seed,
        }  # fmt: skip
        samples.append(DetDataSample(gt_instances=instances, ignored_instances=instances[:0], metainfo=meta))
    return {'inputs': inputs, 'data_samples': samples}

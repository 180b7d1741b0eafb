"""The smallest detectors of each kind, with weights of no training whose detections differ."""

import sys

import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

from swin_mmdet.config import nodes
from tests.configs.small import shrink

# the last block shifts its windows, which are larger than its map of an image of 64 x 64
DEPTHS = (1, 2)
SMALL = {'embed_dims': 16, 'num_heads': (1, 2), 'window_size': 9, 'drop_path_rate': 0.0}
# of each map of a neck, and how many there are now
LEVELS = {'strides': 2, 'point_strides': 2, 'featmap_strides': 2, 'num_outs': 2}
# channels, of which norms make 32 groups
NARROW = {'256': 32, '128': 16, '1024': 64, '2048': 64}
FAMILIES = {
    'Faster R-CNN': 'swin/faster-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'Cascade R-CNN': 'swin/cascade-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'Mask R-CNN': 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'Mask R-CNN of mmdet': 'quickstart/mask-rcnn_swin-micro_shapes.py',
    'Cascade Mask R-CNN': 'swin_v2/cascade-mask-rcnn_swinv2-t-p4-w8_fpn_3x_coco.py',
    'HTC': 'htc/htc-without-semantic_swin-t-p4-w7_fpn_1x_coco.py',
    'Sparse R-CNN': 'sparse_rcnn/sparse-rcnn_swin-t-p4-w7_fpn_300-proposals_3x_coco.py',
    'RetinaNet': 'swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py',
    'ATSS': 'atss/atss_swin-t-p4-w7_fpn_3x_coco.py',
    'RTMDet': 'rtmdet/rtmdet_l_swin_b_4xb32-100e_coco.py',
    'RepPoints V2': 'reppoints_v2/reppoints-v2_swin-t-p4-w7_bifpn_3x_coco.py',
    'Deformable DETR': 'deformable_detr/deformable-detr_swin-t_16xb2-50e_coco.py',
    'DINO': 'dino/dino-4scale_swin-t_8xb2-12e_coco.py',
    'Mask2Former': 'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py',
}
# what decides scores and boxes, which are not to be all the same, nor at their ends
LAST = ('cls', 'fc_reg', 'rpn_reg', 'retina_reg', 'atss_reg', 'rtm_reg', 'pts_init_out', 'pts_refine_out')


def small_detector(path, version=''):
    """The detector of a config, and the config that was made small; with a Swin of that version, if one is given."""
    cfg = Config.fromfile(path)
    shrink(cfg)
    version = version or 'V2' * cfg.model.backbone.type.endswith('V2')
    indices = [index for index in cfg.model.backbone.get('out_indices', (0, 1, 2, 3)) if index < len(DEPTHS)]
    cfg.model.backbone = SMALL | {'type': f'swin_mmdet.SwinTransformer{version}', 'depths': DEPTHS}
    few_levels(cfg.model)
    narrow(cfg.model)
    if (cfg.model.get('neck') or {}).get('type') == 'CSPNeXtPAFPN':
        # of norms in 32 groups; it has as many maps as the backbone
        cfg.model.backbone.embed_dims, indices = 64, [0, 1]
        cfg.model.bbox_head.anchor_generator.strides = [4, 8]
    cfg.model.backbone.out_indices = indices
    widths = [cfg.model.backbone.embed_dims * 2**index for index in indices]
    (cfg.model.get('panoptic_head') or cfg.model.neck).in_channels = widths
    register_all_modules()
    model = MODELS.build(cfg.model).eval()
    make_up_weights(model)
    return model, cfg


def few_levels(model):
    """As few maps as a neck makes of two, or of one."""
    for node in nodes(model):
        for key, most in LEVELS.items():
            if key in node:
                node[key] = node[key][:most] if isinstance(node[key], list | tuple) else min(node[key], most)
    if 'panoptic_head' in model:
        # one of the backbone's two is left for the masks
        model.panoptic_head.num_transformer_feat_level = model.panoptic_head.pixel_decoder.num_outs = 1
        model.panoptic_head.pixel_decoder.encoder.layer_cfg.self_attn_cfg.num_levels = 1
    elif 'encoder' in model:
        # 4 and 256 where a config has none
        model.num_feature_levels = levels = LEVELS['num_outs']
        model.bbox_head.embed_dims = 256
        model.encoder.layer_cfg.self_attn_cfg.num_levels = model.decoder.layer_cfg.cross_attn_cfg.num_levels = levels


def narrow(model):
    """Few channels."""
    for node in nodes(model):
        for key, value in node.items():
            if key.endswith(('channels', 'channel', 'embed_dims', 'num_feats')) and str(value) in NARROW:
                node[key] = NARROW[str(value)]


def make_up_weights(model):
    """Weights with which detections differ."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            scale = (2 / parameter[0].numel()) ** 0.5
            is_last = 'convs' not in name and any(part in name for part in LAST)
            parameter.data.normal_(std=0.1 * scale if is_last else scale, generator=generator)
        elif name.endswith('pts_init_out.bias'):
            # of the first two points: what they are corners of is no box otherwise
            parameter.data[:4] = torch.tensor([-2.0, -2.0, 2.0, 2.0])
        else:
            parameter.data.add_(0.05 * torch.randn(parameter.shape, generator=generator))


def forget():
    """Empty what functions of this project keep, so that a trace is the first to ask for it."""
    for name, module in list(sys.modules.items()):
        if name.partition('.')[0] == 'swin_mmdet':
            for one in vars(module).values():
                if hasattr(one, 'cache_clear'):
                    one.cache_clear()

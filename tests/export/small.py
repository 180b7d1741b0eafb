"""The smallest detectors of each kind, with weights of no training whose detections differ."""

import sys

import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

from tests.configs.small import shrink

SMALL = {'embed_dims': 16, 'depths': (1, 1, 1, 1), 'num_heads': (1, 1, 2, 2), 'window_size': 5, 'drop_path_rate': 0.0}
WIDTHS = [16, 32, 64, 128]
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
    indices = cfg.model.backbone.get('out_indices', (0, 1, 2, 3))
    cfg.model.backbone = SMALL | {'type': f'swin_mmdet.SwinTransformer{version}', 'out_indices': indices}
    widths = [WIDTHS[index] for index in indices]
    if (cfg.model.get('neck') or {}).get('type') == 'CSPNeXtPAFPN':
        # of norms in 32 groups
        cfg.model.backbone.embed_dims, widths = 64, [4 * width for width in widths]
    if 'panoptic_head' in cfg.model:
        cfg.model.panoptic_head.in_channels = widths
    else:
        cfg.model.neck.in_channels = widths
    register_all_modules()
    model = MODELS.build(cfg.model).eval()
    make_up_weights(model)
    return model, cfg


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

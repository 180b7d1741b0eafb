"""Detectors of the zoo with parts of ours or of mmdet, with a batch of random images to step on."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import cv2
import numpy as np
import torch
from made_data import CLASSES, write_language_model
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData
from torch import nn

from swin_mmdet.config import nodes
from swin_mmdet.recording import RecordStepsHook
from swin_mmdet.structures import PackedMasks
from swin_mmdet.variants import VARIANTS

DEVICE = 'cuda'
CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
OURS = {
    'mask-rcnn': 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'cascade-mask-rcnn': 'swin/cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'htc': 'htc/htc-without-semantic_swin-t-p4-w7_fpn_1x_coco.py',
    'dino-5scale-swin-l': 'dino/dino-5scale_swin-l_8xb2-12e_coco.py',
    'dino-5scale-swin-l-recomputing': 'dino/dino-5scale_swin-l_8xb2-12e_coco.py',
    'dino-4scale-swin-t': 'dino/dino-4scale_swin-t_8xb2-12e_coco.py',
    'mask2former': 'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py',
    'dyhead-swin-l': 'dyhead/atss_swin-l-p4-w12_fpn_dyhead_ms-2x_coco.py',
    'rtmdet-swin-b': 'rtmdet/rtmdet_l_swin_b_4xb32-100e_coco.py',
    'grounding-dino-swin-t': 'grounding_dino/grounding_dino_swin-t_finetune_16xb2_1x_coco.py',
}
# beside the backbone's: less memory, more time; mmdet's wants fairscale for it
RECOMPUTED = {'dino-5scale-swin-l-recomputing': 6}
# of mmdet's parts with the compiled mmcv that they need, which has no bf16 for some ops
AMP_OF_MMDET = dict.fromkeys(
    ('dino-5scale-swin-l', 'dino-4scale-swin-t', 'dyhead-swin-l', 'grounding-dino-swin-t'), 'float16'
)
# whose initial weights find objects or are trained from; random ones elsewhere make candidates for all that follows
KEEPS_INITIAL_WEIGHTS = tuple(name for name in OURS if 'dino' in name) + ('mask2former',)


def model_config(name: str, peer: str) -> Config:
    """The config of a detector with parts of ours or of mmdet."""
    cfg = Config.fromfile(CONFIGS / OURS[name])
    cfg.model.backbone.init_cfg = None
    # one process: mmengine's runner does the same for a run on one GPU
    to_plain_norms(cfg.model)
    if name in RECOMPUTED:
        cfg.model.encoder.num_cp = RECOMPUTED[name]
    if 'language_model' in cfg.model:
        cfg.model.language_model.name = str(write_language_model(Path(tempfile.gettempdir(), 'bert-of-random-weights')))
        # mmdet's wants fairscale to recompute layers, so no peer does
        cfg.model.encoder.num_cp = 0
    amp = {} if cfg.optim_wrapper.type == 'AmpOptimWrapper' else {'dtype': 'bfloat16'}
    if peer == 'ours without graphs':
        cfg.model.backbone.cuda_graphs = False
    elif not peer.startswith('ours'):
        to_mmdet(cfg.model, with_backbone=peer == 'mmdet')
        # mmengine's, which leaves the optimizer as it is and computes in fp16
        cfg.optim_wrapper.pop('constructor')
        if name in AMP_OF_MMDET:
            amp['dtype'] = AMP_OF_MMDET[name]
    # recipes that are published in float32 as `train.py --amp` runs them
    cfg.optim_wrapper.update(amp | {'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'})
    return cfg


def to_plain_norms(part: object) -> None:
    """SyncBN needs several processes."""
    for node in nodes(part):
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'


def to_mmdet(part: object, with_backbone: bool) -> None:
    """Every part of ours becomes mmdet's of the same name."""
    for node in nodes(part):
        name = node.get('type')
        if name == 'swin_mmdet.SwinTransformer':
            if with_backbone:
                variant = VARIANTS[node.pop('arch')]
                node['type'] = 'SwinTransformer'
                node.update({name: getattr(variant, name) for name in ('embed_dims', 'depths', 'num_heads')})
        # mmdet's does not run on transformers 5
        elif isinstance(name, str) and name != 'swin_mmdet.BertModel':
            node['type'] = name.removeprefix('swin_mmdet.')


def make_batch(
    images: int, height: int, width: int, objects: int, peer: str, classes: int = 80, with_masks: bool = True
) -> dict:
    """What a loader gives: uint8 images and samples, with ellipses for masks."""
    generator = np.random.default_rng(0)
    is_ours = peer.startswith('ours')
    inputs, samples = [], []
    for _ in range(images):
        image = torch.from_numpy(generator.integers(256, size=(height, width, 3), dtype=np.uint8)).permute(2, 0, 1)
        inputs.append((image if is_ours else image.contiguous()).pin_memory())
        side = np.exp(generator.uniform(np.log(16), np.log(min(height, width) / 2), (objects, 2)))
        corner = generator.uniform(0, 1, (objects, 2)) * ((width, height) - side)
        masks = np.zeros((objects, height, width), np.uint8)
        for mask, (x, y), (w, h) in zip(masks, corner, side, strict=True):
            cv2.ellipse(mask, (int(x + w / 2), int(y + h / 2)), (int(w / 2), int(h / 2)), 0, 0, 360, 1, -1)
        masks = BitmapMasks(masks, height, width)
        instances = InstanceData(
            bboxes=torch.from_numpy(np.concatenate([corner, corner + side], 1)).float(),
            labels=torch.from_numpy(generator.integers(classes, size=objects)),
        )
        if with_masks:
            instances.masks = PackedMasks.from_bitmap(masks) if is_ours else masks
        meta = {'img_shape': (height, width), 'ori_shape': (height, width), 'scale_factor': (1.0, 1.0), 'img_id': 0}
        meta |= {'text': CLASSES[:classes], 'custom_entities': True}
        samples.append(DetDataSample(gt_instances=instances, ignored_instances=instances[:0], metainfo=meta))
    return {'inputs': inputs, 'data_samples': samples}


def spread_weights(model: nn.Module) -> None:
    """Random weights, those of neck and heads the same for every peer, with class scores that differ."""
    torch.manual_seed(0)
    for name, parameter in model.named_parameters():
        if name.startswith('backbone'):
            continue
        if parameter.dim() > 1:
            gain = 3 if 'fc_cls' in name else 0.3 if 'fc_reg' in name or 'rpn_reg' in name else 1
            nn.init.normal_(parameter, std=gain * parameter[0].numel() ** -0.5)
        elif name.endswith('bias'):
            nn.init.zeros_(parameter)


@contextmanager
def own_ops_of_mmcv() -> Iterator[None]:
    """mmcv's functions that `swin_mmdet.compat` leads to our kernels are its own again."""
    attention = sys.modules['mmcv.ops.multi_scale_deform_attn'].MultiScaleDeformableAttnFunction
    owners = [(attention, 'apply')] + [
        (sys.modules[f'mmcv.ops.{name}'], f'{name}2d') for name in ('deform_conv', 'modulated_deform_conv')
    ]
    ours = [getattr(owner, name) for owner, name in owners]
    for (owner, name), function in zip(owners, ours, strict=True):
        setattr(owner, name, function.__wrapped__)
    try:
        yield
    finally:
        for (owner, name), function in zip(owners, ours, strict=True):
            setattr(owner, name, function)


@lru_cache(maxsize=1)
def initial_weights(name: str) -> dict[str, torch.Tensor]:
    """Those that a detector starts from, backbone aside: the same for every peer."""
    torch.manual_seed(0)
    with torch.device(DEVICE):
        model = MODELS.build(model_config(name, 'ours').model)
        model.init_weights()
    return {key: x for key, x in model.state_dict().items() if not key.startswith('backbone')}


class Detector:
    """A model with its optimizer and one batch."""

    def __init__(self, name: str, peer: str, case: tuple[int, ...], mode: str, **backbone: object) -> None:
        cfg = model_config(name, peer)
        cfg.model.backbone.update(backbone)
        # as many detections as objects
        test_cfg = cfg.model.test_cfg.get('rcnn', cfg.model.test_cfg)
        test_cfg['max_per_image' if 'max_per_image' in test_cfg else 'max_per_img'] = case[3]
        # made there, random numbers take no time
        with torch.device(DEVICE):
            self.model: nn.Module = MODELS.build(cfg.model)
        self.model.to(DEVICE)
        if name in KEEPS_INITIAL_WEIGHTS:
            self.model.load_state_dict(initial_weights(name), strict=False)
        else:
            spread_weights(self.model)
        self.model.train(mode == 'train')
        self.wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        # what is measured is a step, not what training for hours with random labels makes of the weights
        for group in self.wrapper.optimizer.param_groups:
            group['lr'] = 1e-6
        if peer == 'ours' and mode == 'train':
            # as the training runner's hook does
            RecordStepsHook().before_train(SimpleNamespace(model=self.model))
        self.ops = own_ops_of_mmcv if peer == 'mmdet' else nullcontext
        self.batch = make_batch(*case, peer, with_masks='mask' in str(cfg.model).lower())
        self.mode = mode
        self._last: list[DetDataSample] = []

    def __call__(self) -> object:
        with self.ops():
            if self.mode == 'train':
                return self.model.train_step(self.batch, self.wrapper)
            with torch.no_grad(), torch.autocast('cuda', torch.float16):
                last, self._last = self._last, self.model.test_step(self.batch)
        # as in an evaluation: what is still to be fetched of a batch is fetched beside the next
        for sample in last:
            len(sample.pred_instances)
        return self._last

    def parts(self) -> dict[str, tuple[object, str]]:
        """The functions that the parts are."""
        model, train = self.model, self.mode == 'train'
        do = 'loss' if train else 'predict'
        parts = {'preprocess': (model.data_preprocessor, 'forward'), 'backbone': (model.backbone, 'forward')}
        for part in ('neck', 'panoptic_head', 'bbox_head'):
            if getattr(model, part, None) is not None:
                parts['neck' if part == 'neck' else 'head'] = getattr(model, part), 'forward' if part == 'neck' else do
        if hasattr(model, 'rpn_head'):
            parts['rpn'] = model.rpn_head, 'loss_and_predict' if train else 'predict'
            parts['roi'] = model.roi_head, do
        if hasattr(model, 'forward_transformer'):
            parts['transformer'] = model, 'forward_transformer'
        if train:
            parts |= {'backward': (self.wrapper, 'backward'), 'optimizer': (self.wrapper, 'step')}
        return parts

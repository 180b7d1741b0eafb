"""A training step and an inference of whole detectors, mmdet's parts beside ours, in turns in one process.

    python tools/benchmarks/detector.py --out tools/benchmarks/results/detector-h100.csv

A training step is the model's `train_step` from uint8 images in pinned memory, with the config's optimizer wrapper in
mixed precision: ours in bf16, mmdet's in the same type where its parts and a compiled mmcv run in it, else in fp16. An
inference is `test_step`, with masks as they are returned: mmdet's are bitmaps on the GPU, ours run
lengths on the host. Images, boxes, masks and weights are random, and as many objects are detected as there are. The
parts are timed in runs of their own, each from an idle GPU to an idle GPU and without recordings, so that they are more
than the whole.
"""

import argparse
import gc
import itertools
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import cv2
import numpy as np
import torch
from harness import conditions, gpu_work, measure, rounded, write_rows
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData
from torch import nn

from swin_mmdet.config import nodes
from swin_mmdet.engine import RecordStepsHook
from swin_mmdet.structures import PackedMasks
from swin_mmdet.variants import VARIANTS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
OURS = {
    'mask-rcnn': 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'cascade-mask-rcnn': 'swin/cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'htc': 'htc/htc-without-semantic_swin-t-p4-w7_fpn_1x_coco.py',
    'dino-5scale-swin-l': 'dino/dino-5scale_swin-l_8xb2-12e_coco.py',
    'dino-4scale-swin-t': 'dino/dino-4scale_swin-t_8xb2-12e_coco.py',
    'mask2former': 'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py',
    'dyhead-swin-l': 'dyhead/atss_swin-l-p4-w12_fpn_dyhead_ms-2x_coco.py',
    'rtmdet-swin-b': 'rtmdet/rtmdet_l_swin_b_4xb32-100e_coco.py',
}
# of mmdet's parts with the compiled mmcv that they need, which has no bf16 for some ops
AMP_OF_MMDET = {'dino-5scale-swin-l': 'float16', 'dino-4scale-swin-t': 'float16', 'dyhead-swin-l': 'float16'}
# whose initial weights find objects or are trained from; random ones elsewhere make candidates for all that follows
KEEPS_INITIAL_WEIGHTS = ('dino-5scale-swin-l', 'dino-4scale-swin-t', 'mask2former')
# images of a batch, height, width, objects of an image
CASES = {
    '2x800x1344': (2, 800, 1344, 10),
    '8x512x512': (8, 512, 512, 27),
    '8x800x1344': (8, 800, 1344, 10),
    '2x1024x1024': (2, 1024, 1024, 10),
    '8x1024x1024': (8, 1024, 1024, 30),
    '16x640x640': (16, 640, 640, 7),
}
PEERS = ('ours', 'ours without recordings', 'ours without graphs', 'mmdet', 'mmdet with our backbone')
PARTS = ('preprocess', 'backbone', 'neck', 'rpn', 'roi', 'transformer', 'head', 'backward', 'optimizer')


def model_config(name: str, peer: str) -> Config:
    """The config of a detector with parts of ours or of mmdet."""
    cfg = Config.fromfile(CONFIGS / OURS[name])
    cfg.model.backbone.init_cfg = None
    # one process: mmengine's runner does the same for a run on one GPU
    to_plain_norms(cfg.model)
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
        elif isinstance(name, str):
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
    model = MODELS.build(model_config(name, 'ours').model)
    model.init_weights()
    return {key: x for key, x in model.state_dict().items() if not key.startswith('backbone')}


class Detector:
    """A model with its optimizer and one batch."""

    def __init__(self, name: str, peer: str, case: tuple[int, ...], mode: str) -> None:
        cfg = model_config(name, peer)
        # as many detections as objects
        test_cfg = cfg.model.test_cfg.get('rcnn', cfg.model.test_cfg)
        test_cfg['max_per_image' if 'max_per_image' in test_cfg else 'max_per_img'] = case[3]
        self.model: nn.Module = MODELS.build(cfg.model).cuda()
        if name in KEEPS_INITIAL_WEIGHTS:
            self.model.load_state_dict(initial_weights(name), strict=False)
        else:
            spread_weights(self.model)
        self.model.train(mode == 'train')
        self.wrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)
        # what is measured is a step, not what training for hours with random labels makes of the weights
        for group in self.wrapper.optimizer.param_groups:
            group['lr'] = 1e-6
        self.ops = own_ops_of_mmcv if peer == 'mmdet' else nullcontext
        if peer == 'ours' and mode == 'train':
            # as the training runner's hook does
            RecordStepsHook().before_train(SimpleNamespace(model=self.model))
        self.batch = make_batch(*case, peer, with_masks='mask' in str(cfg.model).lower())
        self.mode = mode

    def __call__(self) -> object:
        with self.ops():
            if self.mode == 'train':
                return self.model.train_step(self.batch, self.wrapper)
            with torch.no_grad(), torch.autocast('cuda', torch.float16):
                return self.model.test_step(self.batch)

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


@contextmanager
def timed(parts: dict[str, tuple[object, str]], times: dict[str, float]) -> Iterator[None]:
    """Adds the milliseconds of the functions to `times`, from an idle GPU to an idle GPU."""

    def wrap(name: str, function: Callable) -> Callable:
        def run(*args, **kwargs) -> object:
            torch.cuda.synchronize()
            start = time.perf_counter()
            result = function(*args, **kwargs)
            torch.cuda.synchronize()
            times[name] = times.get(name, 0.0) + 1000 * (time.perf_counter() - start)
            return result

        return run

    for name, (owner, function) in parts.items():
        setattr(owner, function, wrap(name, getattr(owner, function)))
    try:
        yield
    finally:
        for owner, function in parts.values():
            delattr(owner, function)


def part_times(detector: Detector, runs: int) -> dict[str, float]:
    """Median milliseconds of each part."""
    found = []
    for _ in range(runs):
        times: dict[str, float] = {}
        with timed(detector.parts(), times):
            detector()
        found.append(times)
    return {f'{name} ms': float(np.median([times[name] for times in found])) for name in found[0]}


def synchronisations(detector: Detector) -> int:
    """How often the host waits for the GPU in a step, as PyTorch knows it."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            detector()
        finally:
            torch.cuda.set_sync_debug_mode('default')
    return sum('called a synchronizing CUDA operation' in str(one.message) for one in found)


def measure_case(name: str, peers: list[str], case: tuple[int, ...], mode: str, repeats: int) -> Iterator[dict]:
    """A row for each peer, mmdet's time in all of them."""
    detectors, failed = {}, {}
    for peer in peers:
        try:
            detectors[peer] = Detector(name, peer, case, mode)
            detectors[peer]()
        except Exception as error:
            traceback.print_exc()
            detectors.pop(peer, None)
            failed[peer] = f'{type(error).__name__}: {error}'.splitlines()[0][:200]
    results = measure(detectors, repeats)
    theirs = results.get('mmdet', {}).get('median ms')
    for peer in peers:
        row = {'peer': peer, 'detector': name, 'mode': mode, 'batch': case[0], 'height': case[1], 'width': case[2]}
        row |= {'objects': case[3]}
        if peer in detectors:
            work = gpu_work(detectors[peer])
            median = results[peer]['median ms']
            row |= results[peer] | {
                'to mmdet': median / theirs if theirs else None,
                'kernels': len(work),
                'GPU busy': sum(us for _, us in work) / 1000 / median,
                'synchronisations': synchronisations(detectors[peer]),
            }
            row |= part_times(detectors[peer], max(3, repeats // 3))
        yield row | {'failed': failed.get(peer, '')}
    del detectors
    gc.collect()
    torch.cuda.empty_cache()


def make_parser(description: str) -> argparse.ArgumentParser:
    """What every benchmark of these steps is asked."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    parser.add_argument('--detectors', nargs='+', choices=OURS, default=['mask-rcnn'])
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES))
    parser.add_argument('--modes', nargs='+', choices=('train', 'infer'), default=['train', 'infer'])
    parser.add_argument('--repeats', type=int, default=12)
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    return parser


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument('--peers', nargs='+', choices=PEERS, default=['ours', 'ours without graphs', 'mmdet'])
    args = parser.parse_args(argv)
    register_all_modules()
    # it says every parameter's learning rate
    MMLogger.get_current_instance().setLevel('WARNING')
    where = conditions(args.commit)
    columns = [f'{part} ms' for part in PARTS]
    rows = []
    for name, case, mode in itertools.product(args.detectors, args.cases, args.modes):
        for row in measure_case(name, args.peers, CASES[case], mode, args.repeats):
            failed = row.pop('failed')
            row = dict.fromkeys((*row, *MEASURED)) | row | {key: row.get(key) for key in columns} | {'failed': failed}
            rows.append(rounded(row) | where)
            print(*rows[-1].values(), flush=True)
            if args.out:
                write_rows(args.out, rows)


MEASURED = (
    'median ms', 'p20 ms', 'p80 ms', 'peak MiB', 'launch us', 'to mmdet', 'kernels', 'GPU busy', 'synchronisations',
)  # fmt: skip


if __name__ == '__main__':
    main()

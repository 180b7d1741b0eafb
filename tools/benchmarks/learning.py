"""A detector of our parts or of mmdet's learns 16 images of coco_mini by heart, and the loss of each step is kept.

    python tools/benchmarks/learning.py dino-4scale-swin-t --peer ours --seed 0 --out results/learning.csv

The config is that of `detector.py`, in mixed precision as there, with the recipe's optimizer, from random weights; the
backbone learns as fast as the rest, for it knows nothing either. The images, at most 384 px, come in the order that the
seed gives, without augmentation. Rows are appended, so that several calls fill one file; the AP on the same 16 images
stands in every 100th row and in the last, which of ours also has that of the same weights in half precision. mmdet's
parts need a compiled mmcv.
"""

import argparse
import csv
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import torch
import whole_detectors
from harness import conditions, mmcv_in_words, rounded
from mmdet.registry import METRICS, MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner, set_random_seed

from swin_mmdet.config import nodes

IMAGES = whole_detectors.CONFIGS / '_base_/datasets/coco_instance_16-images.py'
SIZE, BATCH, WARMUP = (384, 384), 4, 50
# steps from one AP to the next
EVERY = 100
HALF = {'bf16': torch.bfloat16, 'fp16': torch.float16}


def data_config(folder: Path, peer: str) -> Config:
    """The 16 images for training and evaluation, with masks as a peer takes them."""
    cfg = Config.fromfile(IMAGES)
    for name in ('train_dataloader', 'val_dataloader'):
        cfg[name].dataset.data_root = str(folder)
        for node in nodes(cfg[name]):
            if 'scale' in node:
                node['scale'] = SIZE
        if peer == 'mmdet':
            whole_detectors.to_mmdet(cfg[name], with_backbone=False)
        cfg[name].merge({'num_workers': 2, 'persistent_workers': True})
    cfg.train_dataloader.batch_size = BATCH
    return cfg


def learn(name: str, peer: str, folder: Path, seed: int, steps: int, seconds: float) -> Iterator[list[dict]]:
    """Rows of the steps from one AP to the next, which the last of them has."""
    cfg, data = whole_detectors.model_config(name, peer), data_config(folder, peer)
    # of Mask2Former's recipe, which would fill them up to 1024 px
    cfg.model.data_preprocessor.pop('batch_augments', None)
    set_random_seed(seed)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.cuda().train()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    batches = iter(Runner.build_dataloader(data.train_dataloader, seed=seed))
    losses, took, start = [], 0.0, time.perf_counter()
    for step in range(1, steps + 1):
        for group in wrapper.optimizer.param_groups:
            group['lr'] = cfg.optim_wrapper.optimizer.lr * min(1, step / WARMUP)
        # kept on the GPU, which nothing waits for
        losses.append(model.train_step(next(batches), wrapper)['loss'])
        if step % EVERY == 0 or step == steps:
            torch.cuda.synchronize()
            took += time.perf_counter() - start
            first, is_last = step - len(losses) + 1, took > seconds or step == steps
            found = {'s/step': took / step} | average_precision(model, data)
            for name_of_type, dtype in HALF.items():
                # mmdet's parts do not run in both
                score = average_precision(model, data, dtype)['box AP'] if is_last and peer == 'ours' else None
                found[f'box AP {name_of_type}'] = score
            nothing = dict.fromkeys(found)
            kept = enumerate(torch.stack(losses).tolist(), first)
            rows = [{'step': number, 'loss': loss} | nothing for number, loss in kept]
            rows[-1] |= found
            yield rows
            if is_last:
                return
            model.train()
            losses, start = [], time.perf_counter()


def average_precision(
    model: torch.nn.Module, data: Config, dtype: torch.dtype | None = None
) -> dict[str, float | None]:
    """Of boxes, and of masks where there are any, on the validation images; in float32 or under autocast."""
    loader = Runner.build_dataloader(data.val_dataloader, seed=0)
    model.eval()
    metric, found = None, []
    with torch.no_grad(), torch.autocast('cuda', dtype, enabled=dtype is not None):
        for batch in loader:
            found += model.test_step(batch)
    kinds = ['bbox', *(['segm'] if 'masks' in found[0].pred_instances else [])]
    metric = METRICS.build({'type': 'swin_mmdet.CocoMetric', 'metric': kinds})
    metric.dataset_meta = loader.dataset.metainfo
    metric.process({}, [sample.cpu().to_dict() for sample in found])
    scores = metric.evaluate(len(loader.dataset))
    return {'box AP': scores['coco/bbox_mAP'], 'mask AP': scores.get('coco/segm_mAP')}


def append(path: Path, rows: list[dict]) -> None:
    """The rows after those of earlier runs."""
    new = not path.exists()
    with path.open('a', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        if new:
            writer.writeheader()
        writer.writerows(rows)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('detector', choices=whole_detectors.OURS)
    parser.add_argument('--peer', choices=('ours', 'mmdet'), default='ours')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--steps', type=int, default=400)
    parser.add_argument('--seconds', type=float, default=float('inf'), help='stop training after so many')
    parser.add_argument('--data', type=Path, default=Path(os.environ.get('SWIN_MMDET_DATA', 'data'), 'coco_mini'))
    parser.add_argument('--out', type=Path, help='CSV file to append to (default: only print)')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args(argv)
    register_all_modules()
    MMLogger.get_current_instance().setLevel('WARNING')
    where = conditions(args.commit) | {'mmcv': mmcv_in_words()}
    with whole_detectors.own_ops_of_mmcv() if args.peer == 'mmdet' else nullcontext():
        labels = {'detector': args.detector, 'peer': args.peer, 'seed': args.seed}
        for rows in learn(args.detector, args.peer, args.data, args.seed, args.steps, args.seconds):
            found = [labels | rounded(row) for row in rows]
            print(*found[-1].values(), flush=True)
            if args.out:
                append(args.out, [row | where for row in found])


if __name__ == '__main__':
    main()

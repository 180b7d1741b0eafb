"""Losses and detections of whole detectors in half precision, held against float32's of the same weights and images.

    python tools/benchmarks/half_precision.py --out tools/benchmarks/results/half_precision-h200.csv

A row for each peer and type: the largest error of a loss, in proportion to it, and how many of the float32 detections
are found again with the same label, an overlap of 0.9 or more and a score that differs by 0.05 at most. The same random
draws in each type, and nothing idle at random. mmdet's parts show what half precision costs anyway; they need a
compiled mmcv for some detectors, and bf16 is none of its types.
"""

import gc
import traceback

import detector
import torch
import whole_detectors
from harness import conditions, mmcv_in_words, rounded, write_rows
from mmdet.structures.bbox import bbox_overlaps
from mmdet.utils import register_all_modules
from mmengine.logging import MMLogger
from mmengine.structures import InstanceData
from torch import Tensor

DTYPES = {'bf16': torch.bfloat16, 'fp16': torch.float16}


def losses(one: whole_detectors.Detector, dtype: torch.dtype | None) -> Tensor:
    """All of them [n], float32."""
    torch.manual_seed(0)
    one.model.train()
    with one.ops(), torch.no_grad(), torch.autocast('cuda', dtype, enabled=dtype is not None):
        data = one.model.data_preprocessor(one.batch, True)
        found = one.model(**data, mode='loss')
    parts = (loss if isinstance(loss, list) else [loss] for loss in found.values())
    return torch.stack([sum(x.float().sum() for x in part) for part in parts])


def detections(one: whole_detectors.Detector, dtype: torch.dtype | None) -> list[InstanceData]:
    """Those of each image."""
    one.model.eval()
    with one.ops(), torch.no_grad(), torch.autocast('cuda', dtype, enabled=dtype is not None):
        return [sample.pred_instances for sample in one.model.test_step(one.batch)]


def found_again(expected: InstanceData, found: InstanceData) -> float:
    """Share of the expected detections of an image, between 0 and 1."""
    if not len(expected):
        return 1.0
    same = bbox_overlaps(expected.bboxes.float(), found.bboxes.float()) >= 0.9
    same &= expected.labels[:, None] == found.labels
    same &= (expected.scores.float()[:, None] - found.scores.float()).abs() <= 0.05
    return same.any(1).float().mean().item()


def rows_of(name: str, peer: str, case: tuple[int, ...], dtypes: list[str]) -> list[dict]:
    """A row for each type."""
    one = whole_detectors.Detector(name, peer, case, 'train', drop_path_rate=0.0)
    # the first step of a size may have other kernels than those that follow
    losses(one, None)
    expected, objects = losses(one, None), detections(one, None)
    rows = []
    for dtype in dtypes:
        row = {'detector': name, 'peer': peer, 'precision': dtype}
        row |= {'loss error': None, 'found again': None, 'failed': ''}
        try:
            error = (losses(one, DTYPES[dtype]) - expected).abs() / expected.abs().clamp(min=1e-3)
            shares = [found_again(*pair) for pair in zip(objects, detections(one, DTYPES[dtype]), strict=True)]
            row |= {'loss error': error.max().item(), 'found again': sum(shares) / len(shares)}
        except Exception as error:
            row['failed'] = f'{type(error).__name__}: {error}'.splitlines()[0][:200]
        rows.append(row)
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = detector.make_parser(__doc__)
    parser.add_argument('--peers', nargs='+', choices=('ours', 'mmdet'), default=['ours', 'mmdet'])
    args = parser.parse_args(argv)
    register_all_modules()
    MMLogger.get_current_instance().setLevel('WARNING')
    where, rows = conditions(args.commit) | {'mmcv': mmcv_in_words()}, []
    for name in args.detectors:
        for peer in args.peers:
            try:
                found = rows_of(name, peer, detector.CASES[args.cases[0]], list(DTYPES))
            except Exception:
                traceback.print_exc()
                continue
            rows += [rounded(row) | where for row in found]
            for row in found:
                print(*rounded(row).values(), flush=True)
            if args.out and rows:
                write_rows(args.out, rows)
            gc.collect()
            torch.cuda.empty_cache()


if __name__ == '__main__':
    main()

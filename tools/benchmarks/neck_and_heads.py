"""Whole steps of our detector with its neck and heads in other layouts, or compiled, in turns in one process.

    python tools/benchmarks/neck_and_heads.py --out tools/benchmarks/results/neck_and_heads-h100.csv

As it is, images are channels-last and so are all maps. 'contiguous' is without that; 'weights too' has the weights of
convolutions in this layout as well, which are else turned in every step. Compiled are the parts whose work has the same
form in every step: neck, RPN head and box head. A step is that of `detector.py`. 'first step s' has the compilation;
'new size s' is the slowest first step of four other sizes of image, as a training with several scales meets them again
and again until each has come.
"""

import gc
import itertools
import time
from collections.abc import Callable, Iterator

import detector
import torch
import whole_detectors
from harness import conditions, gpu_work, measure, rounded, write_rows
from mmdet.utils import register_all_modules
from mmengine.logging import MMLogger
from torch import nn

# height and width; the batch and the objects are the case's
NEW_SIZES = (640, 1088), (736, 1216), (480, 768), (768, 1344)


def to_contiguous(model: nn.Module) -> None:
    """Images, and thereby all maps."""
    model.backbone.register_forward_pre_hook(lambda _model, images: (images[0].contiguous(),))


def turn_weights(model: nn.Module) -> None:
    """To channels-last."""
    for part in (model.neck, model.rpn_head, model.roi_head):
        part.to(memory_format=torch.channels_last)


def compile_parts(model: nn.Module, backend: str = 'inductor') -> None:
    """Every call of these compiles, or takes what has been compiled; sizes become variables when a second one comes."""
    box_heads = model.roi_head.bbox_head
    for part in (model.neck, model.rpn_head, *(box_heads if isinstance(box_heads, nn.ModuleList) else [box_heads])):
        part.compile(backend=backend)


WAYS: dict[str, Callable[[nn.Module], None]] = {
    'as it is': lambda _model: None,
    'contiguous': to_contiguous,
    'weights too': turn_weights,
    'compiled': compile_parts,
}


def seconds(step: Callable[[], object]) -> float:
    """Of one step until the GPU is done."""
    start = time.perf_counter()
    step()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def measure_case(name: str, ways: list[str], case: str, mode: str, repeats: int) -> Iterator[dict]:
    """A row for each way."""
    images, height, width, objects = detector.CASES[case]
    found, first = {}, {}
    for way in ways:
        found[way] = whole_detectors.Detector(name, 'ours', detector.CASES[case], mode)
        WAYS[way](found[way].model)
        first[way] = seconds(found[way])
    results = measure(found, repeats)
    before = results.get('as it is', {}).get('median ms')
    for way, one in found.items():
        work = gpu_work(one)
        row = {'way': way, 'detector': name, 'mode': mode, 'batch': images, 'height': height, 'width': width}
        row |= {'objects': objects} | results[way]
        row |= {
            'to as it is': results[way]['median ms'] / before if before else None,
            'kernels': len(work),
            'GPU ms': sum(us for _, us in work) / 1000,
            'first step s': first[way],
        }
        slowest = 0.0
        for size in NEW_SIZES:
            one.batch = whole_detectors.make_batch(images, *size, objects, 'ours')
            slowest = max(slowest, seconds(one))
        yield row | {'new size s': slowest}
    del found
    gc.collect()
    torch.cuda.empty_cache()
    torch.compiler.reset()


def main(argv: list[str] | None = None) -> None:
    parser = detector.make_parser(__doc__)
    parser.add_argument('--ways', nargs='+', choices=WAYS, default=list(WAYS))
    args = parser.parse_args(argv)
    register_all_modules()
    MMLogger.get_current_instance().setLevel('WARNING')
    where = conditions(args.commit)
    rows = []
    for name, case, mode in itertools.product(args.detectors, args.cases, args.modes):
        for row in measure_case(name, args.ways, case, mode, args.repeats):
            rows.append(rounded(row) | where)
            print(*rows[-1].values(), flush=True)
            if args.out:
                write_rows(args.out, rows)


if __name__ == '__main__':
    main()

"""Export detectors at their own size, and write what the proof measured and what exporting and running took.

    python tools/benchmarks/export_full_size.py --out tools/benchmarks/results/export_full_size-cpu.csv

    python tools/benchmarks/export_full_size.py --out ... --detectors NAME --checkpoint FILE --images FOLDER

Without a checkpoint the weights are of no training, and the proof's images are drawn. Times of running are medians of
three, of a padded image to detections with whole masks. Rows that the result has of other cases stay.
"""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from harness import conditions, keep_row, measure

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import swin_mmdet.compat  # noqa: E402,F401  before mmdet

# isort: split
from mmdet.registry import MODELS  # noqa: E402
from mmdet.utils import register_all_modules  # noqa: E402
from mmengine.config import Config  # noqa: E402

from swin_mmdet.engine.load_weights import load_weights  # noqa: E402
from swin_mmdet.errors import UserError  # noqa: E402
from swin_mmdet.export import ExportOptions, export_detector  # noqa: E402
from swin_mmdet.export.families import family_of  # noqa: E402
from swin_mmdet.export.pictures import batches  # noqa: E402
from swin_mmdet.export.proof import eager  # noqa: E402
from swin_mmdet.export.runtime import Detector  # noqa: E402
from swin_mmdet.export.targets import TARGETS, target_of  # noqa: E402
from swin_mmdet.export.trace import trace  # noqa: E402
from tests.export.small import make_up_weights  # noqa: E402

CASES = {
    'Mask R-CNN, Swin-T': 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'DINO-4scale, Swin-T': 'dino/dino-4scale_swin-t_8xb2-12e_coco.py',
    'Mask2Former, Swin-T': 'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py',
}
SIZE = 800, 1344
KEY = 'detector', 'to'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--detectors', nargs='+', default=list(CASES), choices=CASES, metavar='NAME')
    parser.add_argument('--to', nargs='+', default=['onnx', 'torch'], choices=[target.name for target in TARGETS])
    parser.add_argument('--size', type=int, nargs=2, default=SIZE)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--checkpoint', help='weights of the one of --detectors')
    parser.add_argument('--images', help='a folder, for the proof')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args()
    if args.checkpoint and len(args.detectors) != 1:
        parser.error('--checkpoint is of one detector: name it by --detectors')
    torch.set_num_threads(args.threads)
    for name in args.detectors:
        model, cfg = detector(ROOT / 'configs' / CASES[name], args.checkpoint)
        size, program, start = tuple(args.size), family_of(model), time.perf_counter()
        traced = trace(program(model), ExportOptions(size=size), program.least(model))
        tracing = time.perf_counter() - start
        for kind in args.to:
            options = ExportOptions(to=kind, size=size, images=args.images)
            row = measured(model, cfg, options, traced, args.threads)
            weights = 'trained' if args.checkpoint else 'of no training'
            row = dict(zip(KEY, (name, kind), strict=True)) | {
                'weights': weights, 'traced in s': f'{tracing:.0f}', **row,
            }  # fmt: skip
            print(', '.join(f'{key} {value}' for key, value in row.items() if value != ''), flush=True)
            keep_row(args.out, row | conditions(args.commit, device='cpu'), (*KEY, 'weights'), place)


def place(row: dict) -> tuple:
    """In the file: as detectors stand here, then by kind of file."""
    return list(CASES).index(row['detector']), row['to']


def detector(path: Path, checkpoint: str | None) -> tuple[torch.nn.Module, Config]:
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None
    register_all_modules()
    model = MODELS.build(cfg.model).eval()
    if checkpoint:
        load_weights(model, checkpoint, strict=True)
    else:
        make_up_weights(model)
    return model, cfg


def measured(
    model: torch.nn.Module, cfg: Config, options: ExportOptions, traced: object, threads: int
) -> dict[str, str]:
    """What was found of a file of that kind."""
    assert options.size is not None
    size = options.size
    names = 'detections', 'boxes px', 'scores', 'masks IoU', 'written and proven in s', 'MB', 'eager ms', 'file ms'
    row = dict.fromkeys(('height', 'width', *names, 'problem'), '') | {'height': size[0], 'width': size[1]}
    with TemporaryDirectory() as folder:
        out, start = Path(folder, 'model').with_suffix(target_of(options.to).suffix), time.perf_counter()
        try:
            found = export_detector(model, cfg, out, options, traced=traced)
        except UserError as error:
            return row | {'problem': str(error)}
        taken, batch, exported = time.perf_counter() - start, batches([size])[0], Detector(out, threads)
        ways = {
            'eager ms': lambda: eager(model, batch),
            'file ms': lambda: exported.in_image(exported.detect(batch), batch, size),
        }
        with torch.no_grad():
            times = measure(ways, repeats=3, warmup=1, device='cpu')
        masks = [one.masks for one in found if one.masks is not None]
        return row | {
            'detections': sum(one.pairs for one in found),
            'boxes px': f'{max(one.boxes for one in found):.1e}',
            'scores': f'{max(one.scores for one in found):.1e}',
            'masks IoU': f'{min(masks):.4f}' if masks else '',
            'written and proven in s': f'{taken:.0f}',
            'MB': f'{sum(one.stat().st_size for one in Path(folder).iterdir()) / 1e6:.0f}',
            **{name: f'{time["median ms"]:.0f}' for name, time in times.items()},
        }


if __name__ == '__main__':
    main()

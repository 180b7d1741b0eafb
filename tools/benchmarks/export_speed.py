"""Time exported files of Mask R-CNN beside the detector itself on a CPU, from a padded image to masks of its size.

    python tools/benchmarks/export_speed.py FOLDER --out tools/benchmarks/results/export_speed-cpu.csv
    python tools/benchmarks/export_speed.py FOLDER --out ... --ways onnx int8 --size 512 512

All take turns in one process. The weights are of no training; so many objects are found that there is no room for
more. FOLDER keeps the exported files: what is there is not exported again.
"""

import argparse
import csv
import sys
from pathlib import Path

import torch
from harness import conditions, measure
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import swin_mmdet.compat  # noqa: E402,F401  before mmdet

# isort: split
from mmdet.registry import MODELS  # noqa: E402
from mmdet.utils import register_all_modules  # noqa: E402
from mmengine.config import Config  # noqa: E402

from swin_mmdet.export import ExportOptions, export_detector  # noqa: E402
from swin_mmdet.export.pictures import batches, picture  # noqa: E402
from swin_mmdet.export.proof import LOOSE_LIMITS, compare, eager  # noqa: E402
from swin_mmdet.export.runtime import Detector  # noqa: E402
from swin_mmdet.export.targets import target_of  # noqa: E402
from swin_mmdet.export.trace import trace  # noqa: E402
from swin_mmdet.export.two_stage import TwoStage  # noqa: E402
from tests.export.small import make_up_weights  # noqa: E402

CONFIG = 'configs/swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'
# the kind of file, and what is quantised
WAYS = {'onnx': 'onnx', 'int8': 'onnx', 'openvino': 'openvino', 'aoti': 'aoti', 'torch': 'torch'}
NAMES = {
    'eager': 'eager, fp32', 'onnx': 'onnxruntime, fp32', 'int8': 'onnxruntime, int8', 'openvino': 'OpenVINO, fp32',
    'aoti': 'AOTInductor, fp32', 'torch': 'torch.export, fp32',
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--ways', nargs='+', default=['onnx', 'int8', 'openvino', 'aoti'], choices=WAYS)
    parser.add_argument('--size', type=int, nargs=2, default=(800, 1344))
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--export-only', action='store_true', help='write the files, and time them in a later call')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    size = tuple(args.size)
    model, cfg = detector(size)
    files = exported(model, cfg, args.folder, args.ways, size)
    if args.export_only:
        return
    batch = batches([size])[0]
    model_files = {name: Detector(path, args.threads) for name, path in files.items()}
    ways = {'eager': lambda: eager(model, batch)}
    for name, one in model_files.items():
        ways[name] = lambda one=one: one.in_image(one.detect(batch), batch, size)
    with torch.no_grad():
        found = {name: way() for name, way in ways.items()}
        times = measure(ways, args.repeats, warmup=0, device='cpu')
    rows = []
    for name, time in times.items():
        difference = compare(found[name], found['eager'], size, LOOSE_LIMITS, 0.05)
        rows.append({
            'way': NAMES[name], 'height': size[0], 'width': size[1], 'detections': len(found[name].scores),
            'partners': difference.pairs, 'boxes px': f'{difference.boxes:.1e}', 'scores': f'{difference.scores:.1e}',
            'MB': '' if name == 'eager' else f'{sum(one.stat().st_size for one in parts(files[name])) / 1e6:.0f}',
            **{key: f'{time[key]:.0f}' for key in ('median ms', 'p20 ms', 'p80 ms')},
            'to eager': f'{times["eager"]["median ms"] / time["median ms"]:.2f}', **conditions(device='cpu'),
        })  # fmt: skip
        print(', '.join(f'{key} {value}' for key, value in rows[-1].items() if value != ''), flush=True)
    with args.out.open('w', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def detector(size: tuple[int, int]) -> tuple[torch.nn.Module, Config]:
    """The detector of the config with weights of no training, and the config with images of this size."""
    cfg = Config.fromfile(ROOT / CONFIG)
    cfg.model.backbone.init_cfg = None
    cfg.test_dataloader.dataset.pipeline[1].scale = size[::-1]
    # scores of who has learned nothing are just above 1 / classes
    cfg.model.test_cfg.rcnn.score_thr = 0.005
    register_all_modules()
    model = MODELS.build(cfg.model).eval()
    make_up_weights(model)
    return model, cfg


def exported(
    model: torch.nn.Module, cfg: Config, folder: Path, ways: list[str], size: tuple[int, int]
) -> dict[str, Path]:
    """A file of each kind, that the folder has or that is written now."""
    pictures = folder / 'pictures'
    pictures.mkdir(exist_ok=True)
    for seed in range(1, 4):
        Image.fromarray(picture(*size, seed)).save(pictures / f'{seed}.png')
    files, traced = {}, None
    for name in ways:
        target = target_of(WAYS[name])
        out = (folder / f'{name}-{size[0]}x{size[1]}').with_suffix(target.suffix)
        files[name] = out
        if not out.exists():
            options = ExportOptions(to=target.name, size=size, int8=str(pictures) if name == 'int8' else None)
            traced = traced or trace(TwoStage(model), options, TwoStage.least(model))
            for difference in export_detector(model, cfg, out, options, traced=traced):
                print(f'{name}: {difference}', flush=True)
    return files


def parts(path: Path) -> list[Path]:
    return [one for one in path.parent.iterdir() if one.stem == path.stem]


if __name__ == '__main__':
    main()

"""Time exported files of Mask R-CNN beside the detector itself, from a padded image to masks of its size.

    python tools/benchmarks/export_speed.py FOLDER --out tools/benchmarks/results/export_speed-cpu.csv
    python tools/benchmarks/export_speed.py FOLDER --out ... --ways onnx int8 --size 512 512
    python tools/benchmarks/export_speed.py FOLDER --out tools/benchmarks/results/export_speed-h200.csv --device cuda

All take turns in one process. The weights are of no training; so many objects are found that there is no room for
more. On a CPU everybody ends with bitmaps, which the runtime makes of probabilities; on a GPU with what the detector
itself returns there, run lengths, and with bitmaps that files with `--paste-masks` have on the GPU. FOLDER keeps the
exported files: what is there is not exported again.
"""

import argparse
import csv
import sys
from collections.abc import Callable
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
from swin_mmdet.export.proof import Difference, eager, inputs_of  # noqa: E402
from swin_mmdet.export.runtime import Batch, Detector  # noqa: E402
from swin_mmdet.export.targets import target_of  # noqa: E402
from tests.export.small import make_up_weights  # noqa: E402

CONFIG = 'configs/swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'
# what an export is asked for
WAYS = {
    'onnx': {'to': 'onnx'}, 'int8': {'to': 'onnx', 'int8': 'pictures'}, 'openvino': {'to': 'openvino'},
    'aoti': {'to': 'aoti'}, 'aoti-fp16': {'to': 'aoti', 'fp16': True}, 'torch': {'to': 'torch'},
}  # fmt: skip
NAMES = {
    'eager': 'eager, fp32', 'eager-fp16': 'eager, fp16 (autocast)', 'onnx': 'onnxruntime, fp32',
    'int8': 'onnxruntime, int8', 'openvino': 'OpenVINO, fp32', 'aoti': 'AOTInductor, fp32',
    'aoti-fp16': 'AOTInductor, backbone and neck in fp16', 'torch': 'torch.export, fp32',
}  # fmt: skip
OF_DEVICE = {'cpu': ('onnx', 'int8', 'openvino', 'aoti'), 'cuda': ('aoti', 'aoti-fp16', 'torch')}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--ways', nargs='+', choices=WAYS, help='default: those of the device')
    parser.add_argument('--device', default='cpu', choices=OF_DEVICE)
    parser.add_argument('--size', type=int, nargs=2, default=(800, 1344))
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--export-only', action='store_true', help='write the files, and time them in a later call')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args()
    if args.device == 'cpu':
        torch.set_num_threads(args.threads)
    args.folder.mkdir(parents=True, exist_ok=True)
    size = tuple(args.size)
    model, cfg = detector(size, args.device)
    files = exported(model, cfg, args.folder, args.ways or OF_DEVICE[args.device], size, args.device)
    if args.export_only:
        return
    batch = batches([size])[0]
    model_files = {name: Detector(path, args.threads) for name, path in files.items()}
    with torch.inference_mode():
        detections = len(eager(model, batch).scores)
        ways = {'eager': lambda: eager(model, batch)}
        for name, one in model_files.items():
            ways[name] = lambda one=one: one.in_image(one.detect(batch), batch, size)
        if args.device == 'cuda':
            ways = on_gpu(model, files, batch)
        times = measure(ways, args.repeats, warmup=0 if args.device == 'cpu' else 4, device=args.device)
    rows = []
    for name, time in times.items():
        row = {'way': NAMES[name], 'height': size[0], 'width': size[1], 'detections': detections,
               'beside eager': same_of(model_files[name].about) if name in files else ''}  # fmt: skip
        row |= {
            'MB': f'{sum(one.stat().st_size for one in parts(files[name])) / 1e6:.0f}' if name in files else '',
            **{key: f'{time[key]:.1f}' for key in ('median ms', 'p20 ms', 'p80 ms')},
            'to eager': f'{times["eager"]["median ms"] / time["median ms"]:.2f}',
            **conditions(args.commit, device=args.device),
        }  # fmt: skip
        rows.append(row)
        print(', '.join(f'{key} {value}' for key, value in row.items() if value != ''), flush=True)
    with args.out.open('w', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)


def same_of(about: dict) -> str:
    """What the proof of a file found in the first image; of 8 bits, what they changed."""
    return about['int8'][0] if 'int8' in about else str(Difference(**about['proof'][0]))


def on_gpu(model: torch.nn.Module, files: dict[str, Path], batch: Batch) -> dict[str, Callable[[], object]]:
    """Ways from an image in pinned memory to all that is found, which stays where each has it."""
    images, sizes = (torch.from_numpy(one).pin_memory() for one in (batch.images, batch.sizes))
    # images in a file are BGR
    data = {'inputs': [images[0].flip(0).pin_memory()], 'data_samples': [inputs_of(model.data_preprocessor, batch)[1]]}

    def in_half() -> object:
        with torch.autocast('cuda', torch.float16):
            return model.test_step(data)

    ways = {'eager': lambda: model.test_step(data), 'eager-fp16': in_half}
    for name, path in files.items():
        is_compiled = WAYS[name]['to'] == 'aoti'
        program = torch._inductor.aoti_load_package(str(path)) if is_compiled else torch.export.load(path).module()
        ways[name] = lambda program=program: program(images.cuda(non_blocking=True), sizes.cuda(non_blocking=True))
    return ways


def detector(size: tuple[int, int], device: str) -> tuple[torch.nn.Module, Config]:
    """The detector of the config with weights of no training, and the config with images of this size."""
    cfg = Config.fromfile(ROOT / CONFIG)
    cfg.model.backbone.init_cfg = None
    cfg.test_dataloader.dataset.pipeline[1].scale = size[::-1]
    # scores of who has learned nothing are just above 1 / classes
    cfg.model.test_cfg.rcnn.score_thr = 0.005
    register_all_modules()
    # a later call, which finds the files, has the same weights
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    make_up_weights(model)
    return model.to(device), cfg


def exported(
    model: torch.nn.Module, cfg: Config, folder: Path, ways: list[str], size: tuple[int, int], device: str
) -> dict[str, Path]:
    """A file of each kind, that the folder has or that is written now."""
    pictures = folder / 'pictures'
    pictures.mkdir(exist_ok=True)
    for seed in range(1, 4):
        Image.fromarray(picture(*size, seed)).save(pictures / f'{seed}.png')
    files = {}
    for name in ways:
        wanted = WAYS[name] | ({'int8': str(pictures)} if 'int8' in WAYS[name] else {})
        options = ExportOptions(size=size, device=device, paste_masks=device == 'cuda', **wanted)
        out = folder / f'{name}-{size[0]}x{size[1]}-{device}{target_of(options.to).suffix}'
        files[name] = out
        if not out.exists():
            for difference in export_detector(model, cfg, out, options):
                print(f'{name}: {difference}', flush=True)
    return files


def parts(path: Path) -> list[Path]:
    return [one for one in path.parent.iterdir() if one.stem == path.stem]


if __name__ == '__main__':
    main()

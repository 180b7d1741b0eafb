"""The AP of exported files beside that of their checkpoint: what kinds of files and lower precision cost.

    python tools/benchmarks/export_ap.py CONFIG CHECKPOINT FOLDER --out tools/benchmarks/results/export_ap-cpu.csv

Each file is written into FOLDER, or was there, and is evaluated by `tools/test.py` on the test data of the config.
Images of FOLDER/images, if there are any, are those of the proof. Rows that the result has of other ways stay.
"""

import argparse
import json
import time
from pathlib import Path

from harness import conditions, keep_row

from swin_mmdet.commands.export import main as export
from swin_mmdet.commands.test import main as test

# name of a file and what it is written with; FOLDER/images are those for 8 bits
WAYS = {
    'onnxruntime, fp32': ('fp32.onnx', ()),
    'onnxruntime, fp16': ('fp16.onnx', ('--fp16',)),
    'onnxruntime, int8': ('int8.onnx', ('--int8', 'images')),
    'onnxruntime, masks pasted inside': ('pasted.onnx', ('--paste-masks',)),
    'torch.export': ('program.pt2', ('--to', 'torch')),
    'AOTInductor': ('compiled.pt2', ('--to', 'aoti')),
    'OpenVINO': ('openvino.xml', ('--to', 'openvino')),
}
EAGER = 'checkpoint'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('checkpoint')
    parser.add_argument('folder', type=Path, help='for the files; its folder images is for 8 bits and the proof')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--ways', nargs='+', default=[EAGER, *WAYS], choices=[EAGER, *WAYS], metavar='WAY')
    parser.add_argument('--size', nargs=2, default=(), metavar=('H', 'W'), help='of all images (default: free)')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args()
    sizes = ('--size', *args.size) if args.size else ()
    for way in args.ways:
        # of a file that was there it is not known
        file, exporting = args.checkpoint, ''
        if way != EAGER:
            name, options = WAYS[way]
            file = str(args.folder / name)
            options = [str(args.folder / word) if word == 'images' else word for word in options]
            if (args.folder / 'images').is_dir():
                options += '--images', str(args.folder / 'images')
            if not Path(file).exists():
                start = time.perf_counter()
                export([args.config, args.checkpoint, file, *options, *sizes])
                exporting = f'{time.perf_counter() - start:.0f}'
        start, found = time.perf_counter(), ap_of(args.config, file, args.folder / 'work_dirs' / way.replace(' ', '_'))
        row = {
            'way': way, 'config': Path(args.config).stem, 'sizes': 'x'.join(args.size) or 'free', **found,
            'MB': f'{sum(one.stat().st_size for one in beside(Path(file))) / 1e6:.1f}',
            'exported in s': exporting,
            'evaluated in s': f'{time.perf_counter() - start:.0f}', **conditions(args.commit, device='cpu'),
        }  # fmt: skip
        print(', '.join(f'{key} {value}' for key, value in row.items()), flush=True)
        keep_row(args.out, row, ('way',), lambda one: [EAGER, *WAYS].index(one['way']))


def beside(file: Path) -> list[Path]:
    """A file and what lies beside it under its name."""
    return [one for one in file.parent.iterdir() if one.stem == file.stem]


def ap_of(config: str, file: str, work_dir: Path) -> dict[str, str]:
    """Box and mask AP, as `test.py` logs them."""
    test([config, file, '--work-dir', str(work_dir)])
    newest = max(work_dir.glob('*/*.json'), key=lambda path: path.stat().st_mtime)
    last = json.loads(newest.read_text().splitlines()[-1])
    names = {'coco/bbox_mAP': 'box AP', 'coco/segm_mAP': 'mask AP'}
    return {name: f'{100 * last[key]:.2f}' if key in last else '' for key, name in names.items()}


if __name__ == '__main__':
    main()

"""Export a small detector of every family in every way, and write what the proof of each file measured.

That the detector itself finds after the trace, to the last bit, what it found before is looked at too.

    python tools/benchmarks/export_families.py --out tools/benchmarks/results/export_families-cpu.csv
    python tools/benchmarks/export_families.py --out ... --families DINO RTMDet --to onnx --sizes free

The detectors are the tests' (`tests/export/small.py`): windows larger than the last map of 64 x 64, weights of no
training. Rows that a file has of other cases stay.
"""

import argparse
import csv
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from harness import conditions, keep_row

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

import swin_mmdet.compat  # noqa: E402,F401  before mmdet
from swin_mmdet.errors import UserError  # noqa: E402
from swin_mmdet.export import ExportOptions, export_detector  # noqa: E402
from swin_mmdet.export.families import family_of  # noqa: E402
from swin_mmdet.export.pictures import batches  # noqa: E402
from swin_mmdet.export.proof import Difference, eager  # noqa: E402
from swin_mmdet.export.targets import TARGETS, target_of  # noqa: E402
from swin_mmdet.export.trace import trace  # noqa: E402
from tests.export.small import FAMILIES, forget, small_detector  # noqa: E402

# 'fixed' is a size whose maps of all levels are wider than high, and none a multiple of the window
SIZES = {'fixed': (96, 128), 'free': None}
MOST = 256
KEY = 'family', 'backbone', 'to', 'sizes'
NAMES = (*KEY, 'images', 'detections', 'boxes px', 'scores', 'masks IoU', 'problem', 'seconds')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--families', nargs='+', default=list(FAMILIES), choices=FAMILIES, metavar='NAME')
    parser.add_argument('--to', nargs='+', default=['torch', 'onnx'], choices=[target.name for target in TARGETS])
    parser.add_argument('--sizes', nargs='+', default=list(SIZES), choices=SIZES)
    parser.add_argument('--backbones', nargs='+', default=[''], choices=['', 'V2'], help='V2: SwinV2 whatever it has')
    parser.add_argument('--missing', action='store_true', help='only those that the file has not')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args()
    for family in args.families:
        for version in args.backbones:
            for sizes in args.sizes:
                to = [kind for kind in args.to if not (args.missing and has(args.out, family, version, kind, sizes))]
                for row in measure(family, version, to, sizes) if to else ():
                    print(', '.join(f'{name} {value}' for name, value in row.items() if value != ''), flush=True)
                    keep_row(args.out, row | conditions(args.commit, device='cpu'), KEY, place)


def measure(family: str, version: str, to: list[str], sizes: str) -> list[dict]:
    """A row for each kind of file, all of one trace."""
    model, cfg = small_detector(ROOT / 'configs' / FAMILIES[family], version)
    cfg.test_dataloader.dataset.pipeline[1].scale = (224, 160)
    backbone = type(model.backbone).__name__
    # as large as those of free sizes of two stages of queries must be
    batch = batches([(MOST, MOST)])[0]
    with torch.no_grad():
        before = eager(model, batch)
    forget()
    start, rows = time.perf_counter(), []
    try:
        kind = family_of(model)
        traced = trace(kind(model), ExportOptions(size=SIZES[sizes], most=MOST), kind.least(model))
    except Exception as error:  # whatever it is, it is a row of the table
        return [row_of((family, backbone, name, sizes), problem=f'trace: {first_line(error)}') for name in to]
    tracing = time.perf_counter() - start
    with torch.no_grad():
        after = eager(model, batch)
    same = all(one is other is None or np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    problem = '' if same else 'after the trace the detector itself finds something else'
    for name in to:
        key, start = (family, backbone, name, sizes), time.perf_counter()
        options = ExportOptions(to=name, size=SIZES[sizes], most=MOST)
        with TemporaryDirectory() as folder:
            out = Path(folder, 'model').with_suffix(target_of(name).suffix)
            try:
                found = export_detector(model, cfg, out, options, traced=traced)
            except Exception as error:
                rows.append(row_of(key, problem=first_line(error)))
                continue
        rows.append(row_of(key, found, problem, time.perf_counter() - start + tracing))
    return rows


def row_of(key: tuple[str, ...], found: list[Difference] = (), problem: str = '', seconds: float = 0.0) -> dict:
    row = dict.fromkeys(NAMES, '') | dict(zip(KEY, key, strict=True)) | {'problem': problem}
    if found:
        masks = [one.masks for one in found if one.masks is not None]
        row |= {
            'images': ' '.join('x'.join(map(str, one.size)) for one in found),
            'detections': sum(one.pairs for one in found),
            'boxes px': f'{max(one.boxes for one in found):.1e}',
            'scores': f'{max(one.scores for one in found):.1e}',
            'masks IoU': f'{min(masks):.4f}' if masks else '',
            'seconds': f'{seconds:.0f}',
        }
    return row


def first_line(error: Exception) -> str:
    text = ' '.join(str(error).split())
    return (text if isinstance(error, UserError) else f'{type(error).__name__}: {text}')[:300]


def has(path: Path, family: str, version: str, kind: str, sizes: str) -> bool:
    """Whether a file has the row of such a case."""
    rows = csv.DictReader(path.read_text().splitlines()) if path.exists() else ()
    case = family, kind, sizes
    return any((row['family'], row['to'], row['sizes']) == case and row['backbone'].endswith(version) for row in rows)


def place(row: dict) -> tuple:
    """In the file: by family, as they stand in the tests, then by the rest of the key."""
    return (list(FAMILIES).index(row['family']), *(row[name] for name in KEY[1:]))


if __name__ == '__main__':
    main()

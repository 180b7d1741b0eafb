"""How long the check of a large data set takes: the first time, with headers alone, and again when nothing has changed.

    python tools/benchmarks/data_check.py [--images 100000] [--objects 7] [--source FOLDER] [--folder FOLDER]
                                           [--make-only] [--out FILE.csv] [--add]

The images are hard links to copies of a few: of small ones made here, or of those in `--source`. Times hold for the
machine at hand, whose cores, load and reading speed of files stand in the result.
"""

import argparse
import csv
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
RESULTS = Path(__file__).parent / 'results' / 'data_check.csv'
COPIES = 200
HEAD = 'check', 'images', 'objects', 'annotations s', 'all s', 'cpu s', 'kB an image', 'cores', 'load'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=100_000)
    parser.add_argument('--objects', type=int, default=7, help='on each image (default: %(default)s, as in COCO)')
    parser.add_argument('--size', type=int, default=128, help='sides of the made images (default: %(default)s)')
    parser.add_argument('--source', type=Path, help='a folder of images to link to instead')
    parser.add_argument('--folder', type=Path, help='make the data there and leave them, or take those that are there')
    parser.add_argument('--make-only', action='store_true', help='make the data in --folder and end, for a quiet hour')
    parser.add_argument('--out', type=Path, default=RESULTS, metavar='FILE.csv')
    parser.add_argument('--add', action='store_true', help='to the rows that FILE.csv has')
    args = parser.parse_args(argv)
    if args.make_only and not args.folder:
        parser.error('--make-only needs --folder')
    return args


def make(folder: Path, args: argparse.Namespace) -> Path:
    """The annotation file of linked images in `folder/images`."""
    (folder / 'images').mkdir(parents=True)
    (folder / 'kept').mkdir()
    rng = np.random.default_rng(0)
    originals = sorted(args.source.iterdir())[:COPIES] if args.source else []
    if not originals:
        for number in range(COPIES):
            noise = rng.integers(0, 256, (8, 8, 3), np.uint8)
            picture = Image.fromarray(noise).resize((args.size, args.size), Image.BICUBIC)
            picture.save(folder / f'kept/{number}.jpg', quality=85)
    for number, path in enumerate(originals):
        (folder / f'kept/{number}.jpg').write_bytes(path.read_bytes())
    originals = sorted((folder / 'kept').iterdir())
    # written once for each original: to write millions of numbers anew takes minutes
    texts = [[made_object(rng, *Image.open(path).size) for _ in range(args.objects)] for path in originals]
    sizes = [Image.open(path).size for path in originals]
    images, annotations = [], []
    for id in range(1, args.images + 1):
        which = id % len(originals)
        width, height = sizes[which]
        os.link(originals[which], folder / f'images/{id:08}.jpg')
        images.append({'id': id, 'file_name': f'{id:08}.jpg', 'width': width, 'height': height})
        first = 1 + (id - 1) * args.objects
        annotations += [
            f'{{"id": {first + number}, "image_id": {id}, "category_id": {1 + id % 80}, {text}'
            for number, text in enumerate(texts[which])
        ]
    categories = [{'id': id, 'name': f'class {id}'} for id in range(1, 81)]
    path = folder / 'annotations.json'
    head = json.dumps({'images': images, 'categories': categories})
    path.write_text(f'{head[:-1]}, "annotations": [{", ".join(annotations)}]}}')
    return path


def made_object(rng: np.random.Generator, width: int, height: int) -> str:
    """The end of an annotation in JSON, behind its numbers: an ellipse of 24 points inside of an image."""
    w, h = (int(side) for side in rng.integers(8, min(width, height) // 2, 2))
    x, y = int(rng.integers(0, width - w)), int(rng.integers(0, height - h))
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = np.stack([x + w / 2 * (1 + np.cos(angles)), y + h / 2 * (1 + np.sin(angles))], 1).round(1)
    return json.dumps({
        'bbox': [x, y, w, h], 'area': w * h * 0.78, 'iscrowd': 0, 'segmentation': [points.ravel().tolist()],
    })[1:]  # fmt: skip


def cpu_seconds() -> float:
    """Of this process and those that it has ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        data = args.folder or Path(temporary, 'data')
        path = data / 'annotations.json'
        if not path.exists():
            make(data, args)
        if not args.make_only:
            measure(path, Path(temporary, 'cache'), args)


def measure(path: Path, cache: Path, args: argparse.Namespace) -> None:
    """Check the images of an annotation file in three ways, and write what each took."""
    from swin_mmdet.datasets import coco_file
    from swin_mmdet.datasets.check import check_file
    from swin_mmdet.datasets.checks.options import CheckOptions
    from swin_mmdet.datasets.parallel import processors

    rows = []
    for name, options in (
        ('headers alone (`--quick`)', CheckOptions(pixels=False)),
        ('every pixel', CheckOptions(cache=cache)),
        ('every pixel, again', CheckOptions(cache=cache)),
    ):
        coco_file._read.cache_clear()
        begin, used = time.perf_counter(), cpu_seconds()
        coco = coco_file.read_coco(path)
        read = time.perf_counter() - begin
        problems = check_file(coco, path.parent / 'images', options)
        seconds, cpu = time.perf_counter() - begin, cpu_seconds() - used
        assert not problems, problems
        images = len(coco.file_names)
        rows.append((name, images, len(coco.box_sizes), f'{read:.1f}', f'{seconds:.1f}', f'{cpu:.1f}'))
        print(*rows[-1], flush=True)
    mean = np.mean([one.stat().st_size for one in (path.parent / 'kept').iterdir()])
    load = os.getloadavg()[1]
    is_new = not args.add or not args.out.exists()
    with open(args.out, 'w' if is_new else 'a', newline='') as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(HEAD)
        writer.writerows((*row, f'{mean / 1000:.0f}', processors(), f'{load:.1f}') for row in rows)


if __name__ == '__main__':
    main()

"""Images a second of one worker of the training pipeline on one core, mmdet's transforms beside ours.

    python tools/benchmarks/data.py data/coco --out tools/benchmarks/results/data.csv

Takes the pipeline of a config and a folder of COCO's layout. Both ways get the same images and random numbers and take
turns. 'all' is one process that calls the transforms; 'worker' is a loader with one worker, so with what it takes to
hand the samples over. Below: decoders of the same files, and whether their pixels are OpenCV's.
"""

import argparse
import io
import pickle
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import cv2
import numpy as np
import torch
from harness import conditions, rounded, write_rows
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_jpeg

from swin_mmdet.datasets import transforms

CONFIG = Path(__file__).resolve().parents[2] / 'configs/swin/mask-rcnn_swin-t-p4-w7_fpn_3x_coco.py'
WAYS = ('mmdet', 'ours')


def of_way(step: object, way: str) -> object:
    """A pipeline of a config with mmdet's transforms, or with ours where there are any."""
    if isinstance(step, list):
        return [of_way(one, way) for one in step]
    if not isinstance(step, dict):
        return step
    step = {key: of_way(value, way) for key, value in step.items()}
    if 'type' in step:
        name = step['type'].removeprefix('swin_mmdet.')
        step['type'] = f'swin_mmdet.{name}' if way == 'ours' and name in transforms.__all__ else name
    return step


class Samples(Dataset):
    """The images of a data set through a pipeline: one that it cannot use is None. Seconds of each step are added."""

    def __init__(self, images: BaseDataset, pipeline: list[dict], count: int) -> None:
        self.images, self.count = images, count
        self.names = [step['type'].removeprefix('swin_mmdet.') for step in pipeline]
        self.steps = [TRANSFORMS.build(step) for step in pipeline]
        self.seconds: dict[str, float] = defaultdict(float)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict | None:
        np.random.seed(index)
        results = self.images.get_data_info(index % len(self.images))
        for name, step in zip(self.names, self.steps, strict=True):
            start = time.perf_counter()
            results = step(results)
            self.seconds[name] += time.perf_counter() - start
            if results is None:
                return None
        return results


def read(config: Path, folder: Path, count: int) -> dict[str, Samples]:
    """The training data of a config, from another folder, for each way."""
    cfg = Config.fromfile(config)
    init_default_scope('mmdet')
    dataset = cfg.train_dataloader.dataset.to_dict()
    pipeline = dataset['pipeline']
    images = DATASETS.build(dataset | {'data_root': str(folder), 'pipeline': [], 'lazy_init': False})
    return {way: Samples(images, of_way(pipeline, way), count) for way in WAYS}


def time_steps(samples: dict[str, Samples]) -> list[dict]:
    """A row for each way and step."""
    count = len(samples['ours'])
    for one in samples.values():
        one[0]
        one.seconds.clear()
    sizes = dict.fromkeys(samples, 0)
    for index in range(count):
        for way, one in samples.items():
            sizes[way] += len(pickle.dumps(one[index]))
    rows = []
    for way, one in samples.items():
        for name, seconds in [*one.seconds.items(), ('all', sum(one.seconds.values()))]:
            rows.append(row(way, name, seconds / count, sizes[way] / count if name == 'all' else None))
    return rows


def time_worker(samples: dict[str, Samples]) -> Iterator[dict]:
    """A row for each way."""
    for way, one in samples.items():
        loader = DataLoader(one, batch_size=2, num_workers=1, collate_fn=list, worker_init_fn=alone)
        batches = iter(loader)
        next(batches)
        start = time.perf_counter()
        batches = sum(1 for _ in batches)
        yield row(way, 'worker', (time.perf_counter() - start) / (2 * batches))


def decoders() -> dict[str, Callable[[bytes], np.ndarray]]:
    """Name -> a function from the bytes of a JPEG to [H, W, 3]: BGR of cv2, RGB of the others."""
    return {
        'cv2': lambda content: cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR),
        'torchvision': lambda content: decode_jpeg(
            torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB, apply_exif_orientation=True
        ).permute(1, 2, 0).numpy(),
        'PIL': lambda content: np.asarray(Image.open(io.BytesIO(content)).convert('RGB')),
    }  # fmt: skip


def time_decoders(images: BaseDataset, count: int) -> list[dict]:
    """A row for each decoder."""
    seconds, same = defaultdict(float), defaultdict(int)
    for index in range(count):
        content = Path(images.get_data_info(index % len(images))['img_path']).read_bytes()
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        for name, decode in decoders().items():
            start = time.perf_counter()
            image = decode(content)
            seconds[name] += time.perf_counter() - start
            same[name] += np.array_equal(image if name == 'cv2' else image[..., ::-1], expected)
    return [row(name, 'decode', seconds[name] / count, share=same[name] / count) for name in seconds]


def row(way: str, step: str, seconds: float, size: float | None = None, share: float | None = None) -> dict:
    return {
        'way': way,
        'step': step,
        'ms an image': 1000 * seconds,
        'images a second': 1 / seconds,
        'KiB pickled': None if size is None else size / 1024,
        'as cv2': share,
    }


def alone(_worker: int = 0) -> None:
    """No threads but this one."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='with annotations/ and the images, as the config names them')
    parser.add_argument('--config', type=Path, default=CONFIG, help='whose training pipeline is measured')
    parser.add_argument('--images', type=int, default=400, help='how many are read each way; fewer repeat')
    parser.add_argument('--commit', help='what to write for the commit (default: ask git)')
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    args = parser.parse_args()
    alone()
    samples = read(args.config, args.folder, args.images)
    rows = [*time_steps(samples), *time_worker(samples), *time_decoders(samples['ours'].images, args.images)]
    for one in rows:
        print('{way:12} {step:18} {ms an image:8.2f} ms {images a second:8.1f} images/s'.format_map(one), end='  ')
        print(*(f'{name}: {one[name]:.4g}' for name in ('KiB pickled', 'as cv2') if one[name] is not None))
    if args.out:
        shared = {'config': args.config.stem, 'images': args.images} | conditions(args.commit, device='cpu')
        write_rows(args.out, [rounded(one) | shared for one in rows])


if __name__ == '__main__':
    main()

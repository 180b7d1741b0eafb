"""Detect objects with a file that `tools/export.py` wrote: numpy, Pillow and onnxruntime are all that is needed.

    python swin_mmdet_runtime.py MODEL.onnx IMAGE ... [--score-thr 0.3] [--out results.json] [--draw FOLDER]

As a module:

    detector = Detector('MODEL.onnx')
    found = detector(numpy.asarray(Image.open('image.jpg').convert('RGB')))

A program of PyTorch (.pt2) runs with torch in place of onnxruntime, one of OpenVINO (.xml) with openvino.
"""

import argparse
import hashlib
import json
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
from PIL import Image, ImageDraw

FORMAT = 1
ABOUT, DIGEST = 'swin_mmdet', 'swin_mmdet.sha256'
NO_DIGEST = '0' * 64
Run = Callable[[np.ndarray, np.ndarray], Sequence[np.ndarray]]


class Batch(NamedTuple):
    """An image as a program takes it."""

    images: np.ndarray  # [B, 3, H, W] uint8 RGB, padded at the bottom and right
    sizes: np.ndarray  # [B, 2] int64, height and width without what the program is to see as padding
    resized: tuple[int, int]  # height and width of the image itself


class Found(NamedTuple):
    """Detections of one image, best first."""

    boxes: np.ndarray  # [n, 4] float32: x1, y1, x2, y2 in pixels of the image
    scores: np.ndarray  # [n] float32
    labels: np.ndarray  # [n] int64, of `Detector.classes`
    masks: np.ndarray | None  # [n, H, W] bool


class Exported:
    """A file of any kind; `about` is what is known of it.

    Raises:
        ValueError: it is none that tools/export.py wrote, or it has been changed since; says which.
    """

    part = ''

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        path = Path(path)
        if path.suffix not in READERS:
            raise ValueError(f'{path} is no exported {self.part}: its name ends in none of {", ".join(READERS)}')
        if not path.is_file():
            raise ValueError(f'no exported {self.part} at {path}')
        known, self.run = READERS[path.suffix](path, threads)
        self.about = json.loads(known[ABOUT])
        if self.about['format'] != FORMAT:
            raise ValueError(f'{path} is of format {self.about["format"]}; the runtime written beside it reads it')
        if self.about['part'] != self.part:
            raise ValueError(f'{path} is an exported {self.about["part"]}, and this reads a {self.part}')

    def detect(self, batch: Batch) -> dict[str, np.ndarray]:
        """What the program says, by name."""
        self.check(batch.images.shape[2:])
        return dict(zip(self.about['outputs'], self.run(batch.images, batch.sizes), strict=True))

    def check(self, size: tuple[int, int]) -> None:
        """ValueError where the program does not take padded images of this size."""
        fixed, free = self.about['size'], self.about['free']
        if fixed and tuple(size) != tuple(fixed):
            raise ValueError(f'this program takes images of {fixed[0]}x{fixed[1]}, got {size[0]}x{size[1]}')
        if free and any(side % free['divisor'] or not free['least'] <= side <= free['most'] for side in size):
            raise ValueError(
                f'this program takes images with sides from {free["least"]} to {free["most"]} in multiples of '
                f'{free["divisor"]}, got {size[0]}x{size[1]}'
            )


class Backbone(Exported):
    """An exported backbone."""

    part = 'backbone'

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """images [B, 3, H, W] uint8 RGB, without padding -> float32 maps by names such as `stride_4`."""
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8:
            raise ValueError(f'images must be [B, 3, H, W] uint8 RGB, got {images.dtype} {list(images.shape)}')
        size = images.shape[2:]
        return self.detect(Batch(images, np.array([size] * len(images), np.int64), size))


class Detector(Exported):
    """An exported detector; `classes` are the names of its labels."""

    part = 'detector'

    def __init__(self, path: str | Path, threads: int = 0) -> None:
        super().__init__(path, threads)
        self.classes = self.about['classes']

    def __call__(self, image: np.ndarray, score_thr: float = 0.3) -> Found:
        """image [H, W, 3] uint8 RGB."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise ValueError(f'an image must be [H, W, 3] uint8 RGB, got {image.dtype} {list(image.shape)}')
        batch = self.batch(image)
        return self.in_image(self.detect(batch), batch, image.shape[:2], score_thr)

    def batch(self, image: np.ndarray) -> Batch:
        """The image [H, W, 3] resized and padded as in training."""
        steps, fixed, free = self.about['preprocessing'], self.about['size'], self.about['free']
        height, width = image.shape[:2]
        high, wide = new_size(height, width, steps['scale'], steps['keep_ratio'])
        if fixed and (high > fixed[0] or wide > fixed[1]):
            factor = min(fixed[0] / height, fixed[1] / width)
            high, wide = max(int(height * factor), 1), max(int(width * factor), 1)
        resized = (resize(image.astype(np.float32), high, wide) + 0.5).astype(np.uint8)
        padded = (high, wide)
        if steps['pad']:
            padded = tuple(map(max, padded, steps['pad']['size']))
        every, least = (free['divisor'], free['least']) if free else (1, 1)
        canvas = tuple(fixed or (max(-(-side // every) * every, least) for side in padded))
        images = np.zeros((1, 3, *canvas), np.uint8)
        if steps['pad']:
            images[0, :, : padded[0], : padded[1]] = np.array(steps['pad']['value'], np.uint8)[:, None, None]
        images[0, :, :high, :wide] = resized.transpose(2, 0, 1)
        return Batch(images, np.array([padded], np.int64), (high, wide))

    def in_image(
        self, found: dict[str, np.ndarray], batch: Batch, size: tuple[int, int], score_thr: float = 0.0
    ) -> Found:
        """What `detect` found in a batch, in the pixels of its image of `size`, height and width."""
        keep = (found['labels'][0] >= 0) & (found['scores'][0] >= score_thr)
        high, wide = batch.resized
        boxes = found['boxes'][0][keep] / np.array([wide / size[1], high / size[0]] * 2, np.float32)
        masks: list[np.ndarray] | None = None
        if 'masks' in found:
            masks = [paste(mask, box, *size) for mask, box in zip(found['masks'][0][keep], boxes)]
        elif 'mask_logits' in found:
            canvas = batch.images.shape[2:]
            masks = [grow(mask, canvas, batch.resized, size) for mask in found['mask_logits'][0][keep]]
        elif 'full_masks' in found:
            masks = [resize(one.astype(np.float32), *size) >= 0.5 for one in found['full_masks'][0][keep, :high, :wide]]
        stack = None if masks is None else np.stack(masks) if masks else np.zeros((0, *size), bool)
        return Found(boxes.astype(np.float32), found['scores'][0][keep], found['labels'][0][keep], stack)


def new_size(height: int, width: int, scale: Sequence[int], keep_ratio: bool) -> tuple[int, int]:
    """Height and width of an image that is resized to fit `scale`, its longer and shorter side in any order."""
    if not keep_ratio:
        return scale[1], scale[0]
    factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
    return int(height * factor + 0.5), int(width * factor + 0.5)


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """float32 [H, W, ...] bilinear to [height, width, ...], of two neighbours an axis however small it becomes."""
    for axis, size in ((0, height), (1, width)):
        old = image.shape[axis]
        if old == size:
            continue
        at = np.clip((np.arange(size) + 0.5) * (old / size) - 0.5, 0, old - 1)
        first = at.astype(np.int64)
        share = (at - first).astype(np.float32).reshape([-1 if own == axis else 1 for own in range(image.ndim)])
        one, other = image.take(first, axis), image.take(np.minimum(first + 1, old - 1), axis)
        image = one + (other - one) * share
    return image


def paste(mask: np.ndarray, box: np.ndarray, height: int, width: int, threshold: float = 0.5) -> np.ndarray:
    """Where the probabilities [S, S] inside a box reach the threshold: bool [height, width]."""
    out = np.zeros((height, width), bool)
    x1, y1, x2, y2 = box.tolist()
    left, top = max(int(np.floor(x1)) - 1, 0), max(int(np.floor(y1)) - 1, 0)
    right, bottom = min(int(np.ceil(x2)) + 1, width), min(int(np.ceil(y2)) + 1, height)
    if right <= left or bottom <= top or x2 <= x1 or y2 <= y1:
        return out
    rows, columns = _shares(top, bottom, y1, y2, len(mask)), _shares(left, right, x1, x2, len(mask))
    out[top:bottom, left:right] = rows @ mask.astype(np.float32) @ columns.T >= threshold
    return out


def _shares(first: int, last: int, low: float, high: float, size: int) -> np.ndarray:
    """Of pixels first to last, what each of `size` cells between low and high gives them: bilinear, 0 beside."""
    at = (np.arange(first, last, dtype=np.float32) + 0.5 - low) / (high - low) * size - 0.5
    return np.clip(1 - np.abs(at[:, None] - np.arange(size, dtype=np.float32)), 0, None)


def grow(logits: np.ndarray, canvas: tuple[int, int], filled: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Where logits [h, w] of a padded canvas, of which `filled` is the image, are positive in it: bool of `size`."""
    return resize(resize(logits, *canvas)[: filled[0], : filled[1]], *size) > 0


def draw(image: np.ndarray, found: Found, classes: Sequence[str]) -> Image.Image:
    """The image [H, W, 3] with boxes, names and masks."""
    steps = (37, 60), (91, 20), (173, 0)
    colours = [tuple((step * label + first) % 200 + 55 for step, first in steps) for label in found.labels.tolist()]
    shown = image.copy()
    for mask, colour in zip([] if found.masks is None else found.masks, colours):
        shown[mask] = shown[mask] // 2 + np.array(colour, np.uint8) // 2
    pen = ImageDraw.Draw(picture := Image.fromarray(shown))
    for box, score, label, colour in zip(found.boxes.tolist(), found.scores, found.labels, colours):
        pen.rectangle(box, outline=colour, width=2)
        pen.text((box[0] + 3, box[1] + 2), f'{classes[label]} {score:.2f}', fill=colour)
    return picture


def digest(path: Path, written: str) -> str:
    """The checksum of a file but for the one `written` in it."""
    beside = path.with_suffix('.bin')
    found = hashlib.sha256(beside.read_bytes() if path.suffix == '.xml' and beside.is_file() else b'')
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for name in sorted(name for name in archive.namelist() if not name.endswith(DIGEST)):
                found.update(name.encode() + archive.read(name))
        return found.hexdigest()
    found.update(path.read_bytes().replace(written.encode(), NO_DIGEST.encode()))
    return found.hexdigest()


def check(path: Path, known: dict) -> None:
    """ValueError where a file that says this of itself is not as tools/export.py wrote it."""
    if ABOUT not in known:
        raise ValueError(f'{path} was not written by tools/export.py: it has no metadata of swin_mmdet')
    try:
        same = known.get(DIGEST) == digest(path, known.get(DIGEST, NO_DIGEST))
    except zipfile.BadZipFile:
        same = False
    if not same:
        raise ValueError(f'{path} is not as it was written: its checksum is another; export or copy it again')


def read_onnx(path: Path, threads: int) -> tuple[dict, Run]:
    """What a file says of itself, and what runs it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=onnxruntime.get_available_providers())
    except Exception as error:  # of classes that it keeps to itself
        raise ValueError(f'{path} is none that onnxruntime {onnxruntime.__version__} reads: {error}') from error
    known = session.get_modelmeta().custom_metadata_map
    check(path, known)
    return known, lambda images, sizes: session.run(None, {'images': images, 'sizes': sizes})


def read_torch(path: Path, threads: int) -> tuple[dict, Run]:
    """The same of a program of torch.export."""
    try:
        with zipfile.ZipFile(path) as archive:
            keys = {one: key for one in archive.namelist() for key in (ABOUT, DIGEST) if one.endswith(f'/extra/{key}')}
            known = {key: archive.read(name).decode() for name, key in keys.items()}
    except zipfile.BadZipFile as error:
        raise ValueError(f'{path} is no program of PyTorch: {error}') from error
    # before anything of the file is run
    check(path, known)
    import torch

    try:
        import torchvision  # noqa: F401  its operators are in the program
    except ImportError:
        if not Path(__file__).with_name('swin_mmdet_torch_ops.py').exists():
            raise ValueError(f'{path} needs torchvision, or swin_mmdet_torch_ops.py beside the runtime') from None
        sys.path.append(str(Path(__file__).parent))
        import swin_mmdet_torch_ops  # noqa: F401  the same, written beside this file
    about = json.loads(known[ABOUT])
    device, is_compiled = about['device'], about['to'] == 'aoti'
    if device == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'{path} is a program for a GPU, and torch {torch.__version__} finds none here')
    torch.set_num_threads(threads or torch.get_num_threads())
    try:
        program = torch._inductor.aoti_load_package(str(path)) if is_compiled else torch.export.load(path).module()
    except Exception as error:  # whatever a foreign file makes it raise
        raise ValueError(f'{path} is none that torch {torch.__version__} reads: {error}') from error

    def run(images: np.ndarray, sizes: np.ndarray) -> Sequence[np.ndarray]:
        with torch.inference_mode():
            found = program(torch.from_numpy(images).to(device), torch.from_numpy(sizes).to(device))
            return [one.cpu().numpy() for one in found]

    return known, run


def read_openvino(path: Path, threads: int) -> tuple[dict, Run]:
    """The same of a model of OpenVINO, whose weights are in a file beside it."""
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f'{path} is no model of OpenVINO: {error}') from error
    found = {key: root.find('rt_info/' + key.replace('.', '_')) for key in (ABOUT, DIGEST)}
    known = {key: one.get('value') for key, one in found.items() if one is not None}
    check(path, known)
    import openvino

    settings: dict[str, str | int] = {'INFERENCE_PRECISION_HINT': 'f32', 'PERFORMANCE_HINT': 'LATENCY'}
    settings |= {'INFERENCE_NUM_THREADS': threads} if threads else {}
    try:
        program = openvino.Core().compile_model(str(path), 'CPU', settings)
    except RuntimeError as error:
        raise ValueError(f'{path} is none that openvino {openvino.__version__} reads: {error}') from error
    return known, lambda images, sizes: list(program({'images': images, 'sizes': sizes}).to_tuple())


READERS = {'.onnx': read_onnx, '.pt2': read_torch, '.xml': read_openvino}


def main() -> int:
    """The program of this file."""
    parser = argparse.ArgumentParser(description='Detect objects with a file that tools/export.py wrote.')
    parser.add_argument('model', help=f'a file that ends in {", ".join(READERS)}')
    parser.add_argument('images', nargs='+')
    parser.add_argument('--score-thr', type=float, default=0.3, help='detections from this score on')
    parser.add_argument('--threads', type=int, default=0, help='of the CPU (default: all)')
    parser.add_argument('--out', metavar='RESULTS.json', help='detections in the COCO result format, without masks')
    parser.add_argument('--draw', metavar='FOLDER', help='for the images with what was found')
    args = parser.parse_args()
    try:
        detector, rows = Detector(args.model, args.threads), []
        for name in args.images:
            found = detector(image := np.asarray(Image.open(name).convert('RGB')), args.score_thr)
            print(f'{name}: {len(found.scores)} objects')
            for (x1, y1, x2, y2), score, label in zip(found.boxes.tolist(), found.scores.tolist(), found.labels):
                print(f'  {detector.classes[label]} {score:.3f} at ({x1:.1f}, {y1:.1f}) to ({x2:.1f}, {y2:.1f})')
                of = {'file_name': name, 'category_name': detector.classes[label]}
                rows.append(of | {'bbox': [x1, y1, x2 - x1, y2 - y1], 'score': score})
            if args.draw:
                Path(args.draw).mkdir(parents=True, exist_ok=True)
                draw(image, found, detector.classes).save(Path(args.draw, Path(name).name))
        if args.out:
            Path(args.out).write_text(json.dumps(rows))
    except (ValueError, OSError, ImportError) as error:
        remedy = f': pip install {error.name}' if isinstance(error, ImportError) else ''
        print(f'error: {error}{remedy}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())

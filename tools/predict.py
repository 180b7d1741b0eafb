"""Detect objects in images: drawn pictures and one COCO result file."""

import argparse
import json
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from launch import UserError, existing, existing_config, existing_weights, merge, read_config, read_weights, run_cli
from tta import tta_model, views_of

from swin_mmdet.command_line import ArgumentParser, Settings

if TYPE_CHECKING:
    import numpy as np
    from mmdet.structures import DetDataSample
    from torch import nn

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.wmv', '.mpg', '.mpeg')
SOME_FAILED = 1


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights: path or URL of a .pth file')
    parser.add_argument('images', nargs='+', help='image files, or folders of them')
    parser.add_argument('--out-dir', required=True, help='for vis/ (drawn images) and results.json')
    parser.add_argument('--score-thr', type=float, default=0.3, help='draw and write detections from this score on')
    parser.add_argument('--device', default=None, help='such as cpu or cuda:0 (default: a GPU if there is one)')
    parser.add_argument('--ann-file', help='COCO annotations: take image and category ids from there by name')
    parser.add_argument('--limit', type=int, default=None, help='at most this many images')
    parser.add_argument('--cfg-options', nargs='+', action=Settings, default={}, metavar='KEY=VALUE')
    parser.add_argument('--drop-in', action='store_true', help="use swin_mmdet's parts in mmdet's configs")
    parser.add_argument('--tta', action='store_true', help='test-time augmentation: scales and flips, seen as one')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    existing_config(args.config)
    existing_weights(args.checkpoint, 'checkpoint')
    paths = image_paths(args.images)[: args.limit]
    if args.ann_file:
        existing(args.ann_file, 'annotation file')
    model = load_model(args)
    import mmcv
    from mmdet.apis import inference_detector
    from mmdet.utils import get_test_pipeline_cfg

    from swin_mmdet.datasets.read_image import ImageReader, UnreadableImageError, as_picture
    from swin_mmdet.visualization import DetLocalVisualizer

    reader = ImageReader(get_test_pipeline_cfg(model.cfg))
    detect = detect_in_views(model) if args.tta else partial(inference_detector, model, test_pipeline=in_memory(model))
    ids = Ids(model.dataset_meta['classes'], args.ann_file)
    out_dir = Path(args.out_dir)
    # a folder of its own, so that no drawing can replace the image it was made from
    pictures = out_dir / 'vis'
    pictures.mkdir(parents=True, exist_ok=True)
    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = model.dataset_meta

    rows, broken, taken = [], [], set()
    for index, path in enumerate(paths, start=1):
        try:
            image = reader.read(path)
        except UnreadableImageError as error:
            broken.append(path)
            print(f'[{index}/{len(paths)}] {path}: SKIPPED, not a readable image ({error})', flush=True)
            continue
        sample = detect(image)
        found = coco_rows(sample, path, ids.image(path, index), ids, args.score_thr)
        rows += found
        visualizer.add_datasample(
            path.name,
            mmcv.bgr2rgb(as_picture(image)),
            sample,
            draw_gt=False,
            pred_score_thr=args.score_thr,
            out_file=str(pictures / free_name(taken, path)),
        )
        print(f'[{index}/{len(paths)}] {path}: {len(found)} objects', flush=True)

    (out_dir / 'results.json').write_text(json.dumps(rows))
    print(f'{len(paths) - len(broken)} images drawn in {pictures}, {len(rows)} objects in {out_dir / "results.json"}')
    if broken:
        print(f'{len(broken)} images could not be read: {", ".join(map(str, broken))}')
    return SOME_FAILED if broken else 0


def load_model(args: argparse.Namespace) -> 'nn.Module':
    """The detector in evaluation mode, with exactly the weights of the checkpoint."""
    cfg = read_config(args.config)
    from mmdet.apis import init_detector
    from mmengine.device import get_device
    from weights import load_weights

    from swin_mmdet.engine.language_models import check_language_models

    if args.drop_in:
        import swin_mmdet.drop_in  # noqa: F401
    merge(cfg, args.cfg_options)
    check_language_models(cfg, ('model', 'test_dataloader'))
    file = read_weights(args.checkpoint, 'checkpoint')
    cfg.model.backbone.init_cfg = None
    with warnings.catch_warnings(record=True) as caught:
        model = init_detector(cfg, None, palette='random', device=args.device or get_device())
    for one in caught:
        # the classes come with the weights, below; a filter would not do, for mmdet sets one of its own
        if 'checkpoint is None' not in str(one.message):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    load_weights(model, file, strict=True)
    classes = file.meta.get('classes')
    meta = {'classes': classes} if classes else cfg.test_dataloader.dataset.get('metainfo')
    if meta is not None:
        model.dataset_meta = dict(palette='random') | {key.lower(): value for key, value in meta.items()}
    return model


def in_memory(model: 'nn.Module') -> Callable[[dict], dict]:
    """The test pipeline of a detector for an image that has been read."""
    from mmcv.transforms import Compose
    from mmdet.utils import get_test_pipeline_cfg

    return Compose([dict(type='mmdet.LoadImageFromNDArray'), *get_test_pipeline_cfg(model.cfg)[1:]])


def detect_in_views(model: 'nn.Module') -> Callable[['np.ndarray'], 'DetDataSample']:
    """A function from an image to what a detector, with its `cfg`, finds under test-time augmentation."""
    from mmcv.transforms import Compose
    from mmdet.registry import MODELS

    steps = model.cfg.get('tta_pipeline') or views_of(model.cfg.test_dataloader.dataset.pipeline)
    steps = Compose([dict(type='mmdet.LoadImageFromNDArray'), *steps[1:]])
    model = MODELS.build(dict(tta_model(model.cfg), module=model))

    def detect(image: 'np.ndarray') -> 'DetDataSample':
        views = steps(dict(img=image, img_id=0))
        return model.test_step({key: [[view] for view in every] for key, every in views.items()})[0]

    return detect


def image_paths(names: list[str]) -> list[Path]:
    """Files as given, folders as the images directly in them, sorted."""
    paths = []
    for name in names:
        path = Path(existing(name, 'image or folder'))
        if path.is_dir():
            inside = with_suffix(path, IMAGE_SUFFIXES)
            if not inside:
                raise UserError(f'folder {path} has no images ({", ".join(IMAGE_SUFFIXES)}){what_is_in(path)}')
            paths += inside
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            raise UserError(
                f'{path} is a video, and images are wanted: write its frames into a folder '
                f'(`ffmpeg -i {path} frames/%06d.jpg`) and give that'
            )
        else:
            paths.append(path)
    return paths


def with_suffix(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes)


def what_is_in(folder: Path) -> str:
    """Of a folder without images: its folders that have some, or its videos."""
    if with_suffix(folder, VIDEO_SUFFIXES):
        return ', but videos: write their frames into a folder and give that'
    below = [path for path in sorted(folder.iterdir()) if path.is_dir() and with_suffix(path, IMAGE_SUFFIXES)]
    return f'; there are some in {", ".join(map(str, below[:5]))}' if below else ''


def free_name(taken: set[str], path: Path) -> str:
    """A file's own name, numbered where images of several folders share it."""
    name, number = path.name, 1
    while name in taken:
        name, number = f'{path.stem}_{number}{path.suffix}', number + 1
    taken.add(name)
    return name


class Ids:
    """Image and category ids: those of an annotation file, else 1, 2, 3 ... in order."""

    def __init__(self, classes: tuple[str, ...], ann_file: str | None) -> None:
        self.classes = classes
        self.images: dict[str, int] | None = None
        self.categories = {name: number for number, name in enumerate(classes, start=1)}
        if ann_file is None:
            return
        content = json.loads(Path(existing(ann_file, 'annotation file')).read_text())
        self.images = {Path(image['file_name']).name: image['id'] for image in content['images']}
        self.categories = {category['name']: category['id'] for category in content['categories']}
        unknown = [name for name in classes if name not in self.categories]
        if unknown:
            raise UserError(f'{ann_file} has no category for these classes of the model: {", ".join(unknown)}')

    def image(self, path: Path, index: int) -> int:
        if self.images is None:
            return index
        if path.name not in self.images:
            raise UserError(f'{path.name} is not an image of the annotation file; leave --ann-file out')
        return self.images[path.name]

    def category(self, label: int) -> int:
        return self.categories[self.classes[label]]


def coco_rows(sample: 'DetDataSample', path: Path, image_id: int, ids: Ids, score_thr: float) -> list[dict]:
    """Detections of one image in the COCO result format, masks as compressed RLE."""
    from mmdet.structures.mask import encode_mask_results

    found = sample.pred_instances
    found = found[found.scores >= score_thr].cpu().numpy()
    masks = encode_mask_results(found.masks) if 'masks' in found else [None] * len(found.scores)
    rows = []
    for box, score, label, mask in zip(found.bboxes.tolist(), found.scores.tolist(), found.labels.tolist(), masks):
        left, top, right, bottom = box
        row = dict(
            image_id=image_id,
            file_name=path.name,
            category_id=ids.category(label),
            category_name=ids.classes[label],
            bbox=[left, top, right - left, bottom - top],
            score=score,
        )
        if mask is not None:
            row['segmentation'] = dict(size=list(mask['size']), counts=mask['counts'].decode())
        rows.append(row)
    return rows


if __name__ == '__main__':
    run_cli(main)

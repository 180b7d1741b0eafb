"""Detect objects in images: drawn pictures and one COCO result file."""

import argparse
import json
from functools import partial
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser, Settings
from swin_mmdet.commands.image_paths import image_paths
from swin_mmdet.commands.prepare import merge
from swin_mmdet.config.files import EXPORTED, existing, existing_config, existing_weights, read_config
from swin_mmdet.errors import UserError
from swin_mmdet.progress import with_progress

SOME_FAILED = 1
# of more images not each has a line
FEW = 100


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights: path or URL of a .pth file; or an exported file')
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
    cfg = read_config(args.config)
    from swin_mmdet.run_log import keep_library_warnings

    keep_library_warnings()
    from mmcv import bgr2rgb
    from mmdet.utils import get_test_pipeline_cfg

    from swin_mmdet.datasets.read_image import ImageReader, UnreadableImageError, as_picture
    from swin_mmdet.engine.inference import detect_in_views, detect_plainly, load_detector
    from swin_mmdet.engine.language_models import check_language_models
    from swin_mmdet.engine.load_weights import read_weights
    from swin_mmdet.evaluation.coco_results import CocoIds, coco_results
    from swin_mmdet.visualization import DetLocalVisualizer

    if args.drop_in:
        import swin_mmdet.drop_in  # noqa: F401
    merge(cfg, args.cfg_options)
    check_language_models(cfg, ('model', 'test_dataloader'))
    if args.checkpoint.endswith(EXPORTED):
        if args.tta:
            raise UserError(f'--tta takes a checkpoint: {args.checkpoint} is exported and has one view of an image')
        from swin_mmdet.export.evaluated import load_exported

        model = load_exported(cfg, args.checkpoint)
    else:
        model = load_detector(cfg, read_weights(args.checkpoint, 'checkpoint'), args.device)
    reader = ImageReader(get_test_pipeline_cfg(model.cfg))
    detect = detect_in_views(model) if args.tta else detect_plainly(model)
    ids = CocoIds(model.dataset_meta['classes'], args.ann_file)
    out_dir = Path(args.out_dir)
    # a folder of its own, so that no drawing can replace the image it was made from
    pictures = out_dir / 'vis'
    pictures.mkdir(parents=True, exist_ok=True)
    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = model.dataset_meta

    rows, broken, taken = [], [], set()
    listed = len(paths) <= FEW
    shown = paths if listed else with_progress(paths, len(paths), 'images', partial(print, flush=True))
    for index, path in enumerate(shown, start=1):
        try:
            image = reader.read(path)
        except UnreadableImageError as error:
            broken.append(path)
            print(f'[{index}/{len(paths)}] {path}: SKIPPED, not a readable image ({error})', flush=True)
            continue
        sample = detect(image)
        found = coco_results(sample, path, ids.image(path, index), ids, args.score_thr)
        rows += found
        visualizer.add_datasample(
            path.name,
            bgr2rgb(as_picture(image)),
            sample,
            draw_gt=False,
            pred_score_thr=args.score_thr,
            out_file=str(pictures / free_name(taken, path)),
        )
        if listed:
            print(f'[{index}/{len(paths)}] {path}: {len(found)} objects', flush=True)

    (out_dir / 'results.json').write_text(json.dumps(rows))
    print(f'{len(paths) - len(broken)} images drawn in {pictures}, {len(rows)} objects in {out_dir / "results.json"}')
    if broken:
        print(f'{len(broken)} images could not be read: {", ".join(map(str, broken))}')
    return SOME_FAILED if broken else 0


def free_name(taken: set[str], path: Path) -> str:
    """A file's own name, numbered where images of several folders share it."""
    name, number = path.name, 1
    while name in taken:
        name, number = f'{path.stem}_{number}{path.suffix}', number + 1
    taken.add(name)
    return name

"""Detect objects in images and videos: drawn pictures and one COCO result file."""

import argparse
import json
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser, add_config_arguments
from swin_mmdet.commands.prepare import merge
from swin_mmdet.config.files import existing, existing_config, existing_weights, read_config
from swin_mmdet.config.image_paths import image_paths, is_video
from swin_mmdet.progress import with_progress

SOME_FAILED = 1
# of more images not each has a line
FEW = 100


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights: path or URL of a .pth file; or an exported file')
    parser.add_argument('images', nargs='+', help='image files, folders of them, patterns, videos')
    parser.add_argument('--out-dir', required=True, help='for vis/ (drawn images and videos) and results.json')
    parser.add_argument('--score-thr', type=float, default=0.3, help='draw and write detections from this score on')
    parser.add_argument('--device', default=None, help='such as cpu or cuda:0 (default: a GPU if there is one)')
    parser.add_argument('--batch-size', type=int, default=1, metavar='N', help='images, or slices, at a time (1)')
    parser.add_argument(
        '--slices',
        nargs='*',
        type=int,
        metavar='PIXELS',
        help='for large images: look at overlapping tiles, of one number of pixels or of height and width; without a '
        "number of the size of the config's test",
    )
    parser.add_argument('--ann-file', help='COCO annotations: take image and category ids from there by name')
    parser.add_argument('--limit', type=int, default=None, help='at most this many images, frames counted')
    add_config_arguments(parser)
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
    from swin_mmdet.api.detector import Detector
    from swin_mmdet.api.drawings import Drawings
    from swin_mmdet.api.slices import Slices
    from swin_mmdet.datasets.read_image import UnreadableImageError
    from swin_mmdet.evaluation.coco_results import CocoIds

    slices = None if args.slices is None else Slices(tuple(args.slices) or None)
    if args.drop_in:
        import swin_mmdet.drop_in  # noqa: F401
    merge(cfg, args.cfg_options)
    detector = Detector(cfg, args.checkpoint, args.device, args.score_thr, tta=args.tta)
    ids = CocoIds(detector.class_names, args.ann_file)
    for path in paths:
        ids.image(path, 0)
    total = '' if any(map(is_video, paths)) else f'/{len(paths)}'
    listed = len(paths) <= FEW or not total
    out_dir = Path(args.out_dir)
    rows, broken, seen = [], [], 0
    # a folder of its own, so that no drawing can replace the image it was made from
    with Drawings(out_dir / 'vis') as drawings:
        looked_at: Iterator = islice(detector.look(paths, args.batch_size, slices), args.limit)
        if not listed:
            looked_at = with_progress(looked_at, len(paths), 'images', partial(print, flush=True))
        for seen, (picture, found) in enumerate(looked_at, start=1):
            if isinstance(found, UnreadableImageError):
                broken.append(picture)
                print(f'[{seen}{total}] {picture}: SKIPPED, not a readable image ({found})', flush=True)
                continue
            rows += found.to_coco(ids.image(found.picture.path, seen), ids.categories)
            drawings.add(found)
            if listed:
                print(f'[{seen}{total}] {picture}: {len(found)} objects', flush=True)

    (out_dir / 'results.json').write_text(json.dumps(rows))
    print(f'{seen - len(broken)} images drawn in {out_dir / "vis"}, {len(rows)} objects in {out_dir / "results.json"}')
    if broken:
        print(f'{len(broken)} images could not be read: {", ".join(map(str, broken))}')
    return SOME_FAILED if broken else 0

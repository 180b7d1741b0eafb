"""Write a trained detector into a file that runs without it, with the proof that it finds the same."""

import argparse
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser, add_config_arguments
from swin_mmdet.commands.prepare import merge
from swin_mmdet.config.files import existing_config, existing_weights, read_config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='weights: path or URL of a .pth file')
    parser.add_argument('out', help='the file to write: .onnx, .pt2 (torch, aoti) or .xml (openvino)')
    parser.add_argument('--to', default='onnx', help='torch, onnx (the default), aoti or openvino')
    size = parser.add_mutually_exclusive_group()
    size.add_argument('--size', type=int, nargs=2, metavar=('H', 'W'), help='what every image is padded to')
    size.add_argument('--dynamic', action='store_true', help='images of every size (the default)')
    parser.add_argument('--max-size', type=int, default=2048, metavar='N', help='with --dynamic: the longest side')
    parser.add_argument('--max-detections', type=int, metavar='N', help="at most so many (default: the config's)")
    parser.add_argument('--score-thr', type=float, help="only from this score on (default: the config's)")
    parser.add_argument('--paste-masks', action='store_true', help='masks of the size of the image, made inside')
    parser.add_argument('--fp16', action='store_true', help='backbone and neck in half precision')
    parser.add_argument('--int8', metavar='FOLDER', help='compute in 8 bits, by ranges that these images show')
    parser.add_argument('--images', metavar='FOLDER', help='prove the file on these instead of drawn images')
    parser.add_argument('--device', default='cpu', help='--to torch, aoti: cpu (the default) or cuda, which it runs on')
    parser.add_argument('--backbone', action='store_true', help='the backbone alone, for any number of images')
    parser.add_argument('--runtime', action='store_true', help='write beside it what runs it without mmdet')
    add_config_arguments(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    existing_config(args.config)
    existing_weights(args.checkpoint, 'checkpoint')
    cfg = read_config(args.config)
    if args.drop_in:
        import swin_mmdet.drop_in  # noqa: F401
    merge(cfg, args.cfg_options)
    from swin_mmdet.export import ExportOptions, export_checkpoint

    options = ExportOptions(
        to=args.to,
        size=tuple(args.size) if args.size else None,
        max_detections=args.max_detections,
        score_thr=args.score_thr,
        most=args.max_size,
        fp16=args.fp16,
        paste_masks=args.paste_masks,
        int8=args.int8,
        images=args.images,
        device=args.device,
    )
    more = {'backbone': args.backbone, 'runtime': args.runtime}
    for line in export_checkpoint(cfg, args.checkpoint, Path(args.out), options, **more):
        print(line, flush=True)

"""Write a folder of labelled images as a COCO folder: of YOLO, Pascal VOC, LabelMe, CVAT, Label Studio, Supervisely,
Datumaro, or COCO in any arrangement, recognised by content. Nothing in it is changed; images are linked."""

import argparse
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser
from swin_mmdet.config.files import existing
from swin_mmdet.errors import UserError


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='the data')
    parser.add_argument('out', type=Path, help='a new folder: annotations/, train2017/, val2017/')
    parser.add_argument(
        '--split',
        metavar='SHARE',
        help='where there are no images for validation: this share for training, such as 0.8, the others for '
        'validation; images of like names stay together',
    )
    parser.add_argument('--seed', type=int, default=0, help='another seed makes another split (default: %(default)s)')
    parser.add_argument('--layout', help='which layout is meant, for a folder with several: yolo, coco, ...')
    parser.add_argument('--copy', action='store_true', help='copy images in place of linking them')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    existing(str(args.folder), 'data folder')
    from swin_mmdet.datasets.layouts import DataFolder, Split, check_new, convert, write_folder
    from swin_mmdet.datasets.layouts.table import WORDS

    if args.layout not in (None, *WORDS):
        raise UserError(f'--layout {args.layout}: known are {", ".join(WORDS)}')
    split = Split.read(args.split, args.seed) if args.split else None
    check_new(args.out)
    folder = DataFolder(args.folder)
    converted = convert(folder, split, args.layout)
    print('\n'.join([f'{folder.root} is read as {converted.layout}', *converted.notes]))
    for path in write_folder(folder, converted.contents, args.out, copy=args.copy):
        print(f'wrote {path}')

"""Draw a small COCO-format instance segmentation data set: circles, squares and triangles that cover each other.

It trains in minutes, so that a whole run can be tried without any download. The same arguments give the same files;
a folder that was made with them is kept as it is.
"""

import argparse
import sys
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('out', type=Path, help='folder to write: annotations/, train2017/, val2017/')
    parser.add_argument('--train', type=positive, default=160, help='number of training images')
    parser.add_argument('--val', type=positive, default=40, help='number of validation images')
    parser.add_argument('--size', type=positive, default=192, help='width and height in pixels, at least 64')
    parser.add_argument('--seed', type=int, default=0, help='another seed draws other images')
    return parser.parse_args(argv)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be positive, got {number}')
    return number


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    from swin_mmdet.datasets.shapes import make_dataset

    try:
        written = make_dataset(args.out, args.train, args.val, args.size, args.seed)
    except (FileExistsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f'{"wrote" if written else "kept"} {args.out}: {args.train} training and {args.val} validation images')
    return 0

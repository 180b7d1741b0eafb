"""Describe COCO-format data and list what is wrong with it: of a config, of a folder, or of one annotation file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from swin_mmdet.commands.arguments import ArgumentParser, Settings
from swin_mmdet.commands.prepare import apply_options
from swin_mmdet.config.files import existing, read_config

if TYPE_CHECKING:
    from swin_mmdet.datasets import CocoFile, Problem

# where COCO files are written for folders that have none
CONVERTED = Path('work_dirs/check_dataset')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(
        description=__doc__,
        epilog='Exits with 1 if there are problems; warnings alone exit with 0.',
    )
    parser.add_argument(
        'target',
        type=Path,
        help='a config (.py): its data, classes, heads and evaluators are checked against each other; a folder, '
        'of COCO or any other layout that train reads; or an annotation file (.json) of COCO',
    )
    parser.add_argument(
        '--split', metavar='SHARE', help='as for train: with a folder that has no images for validation, such as 0.8'
    )
    parser.add_argument(
        '--images',
        type=Path,
        metavar='FOLDER',
        help='where the images of an annotation file are (default: sought beside)',
    )
    parser.add_argument('--cfg-options', nargs='+', action=Settings, metavar='KEY=VALUE', help='change the config')
    parser.add_argument('--max-classes', type=int, default=20, help='classes listed per file (default: %(default)s)')
    return parser.parse_args(argv)


def examine(
    target: Path, cfg_options: dict | None, images: Path | None = None, split: str | None = None
) -> 'tuple[list[Problem], list[CocoFile]]':
    """Problems of the target and the annotation files it reads."""
    from swin_mmdet.datasets import check_folder, find_problems, read_coco
    from swin_mmdet.datasets.check import check_file
    from swin_mmdet.datasets.layouts import Split, find_data
    from swin_mmdet.datasets.missing_data import check_folders

    if target.is_dir():
        found = find_data(target, CONVERTED, Split.read(split) if split else None)
        print(f'train: {found.train_ann}, images in {found.train_images}')
        print(f'val:   {found.val_ann}, images in {found.val_images}')
        print(f'metainfo=dict(classes={found.classes!r})\n')
        return check_folder(found)
    if target.suffix == '.json':
        coco = read_coco(target)
        return check_file(coco, images), [coco]
    config = read_config(str(target))
    apply_options(config, cfg_options or {})
    check_folders(config)
    return find_problems(config)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    existing(str(args.target), 'config, folder or annotation file')
    if args.images:
        existing(str(args.images), 'folder of images')
    from swin_mmdet.datasets import describe
    from swin_mmdet.datasets.problems import ERROR, count, listing

    try:
        problems, files = examine(args.target, args.cfg_options, args.images, args.split)
    except (FileNotFoundError, ValueError) as error:
        print(error)
        return 1
    for coco in files:
        print(describe(coco, args.max_classes), end='\n\n')
    errors = [problem for problem in problems if problem.level == ERROR]
    warnings = [problem for problem in problems if problem.level != ERROR]
    for found, noun in ((errors, 'problem'), (warnings, 'warning')):
        print(f'{count(len(found), noun)}{":" if found else ""}\n{listing(found)}'.rstrip())
    return int(bool(errors))

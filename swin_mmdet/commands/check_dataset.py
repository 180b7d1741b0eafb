"""Describe COCO-format data and list what is wrong with it: of a config, of a folder, or of one annotation file."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from swin_mmdet.commands.arguments import ArgumentParser, Settings
from swin_mmdet.commands.prepare import add_check_arguments, apply_options, check_options, use_data
from swin_mmdet.config.files import existing, read_config
from swin_mmdet.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

    from swin_mmdet.datasets import CocoFile, CocoFolder, Problem

# where COCO files are written for folders that have none
CONVERTED = Path('work_dirs/check_dataset')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(
        description=__doc__,
        epilog='Exits with 1 if there are problems, or no images for validation and no --split, as train refuses both; '
        'warnings alone exit with 0.',
    )
    parser.add_argument(
        'target',
        type=Path,
        help='a config (.py): its data, classes, heads and evaluators are checked against each other; a folder, '
        'of COCO or any other layout that train reads; or an annotation file (.json) of COCO',
    )
    parser.add_argument('--data', metavar='FOLDER', help='as for train: the data of this folder in the config')
    parser.add_argument(
        '--split', metavar='SHARE', help='as for train: with a folder that has no images for validation, such as 0.8'
    )
    parser.add_argument(
        '--images',
        type=Path,
        metavar='FOLDER',
        help='where the images of an annotation file are (default: sought beside)',
    )
    add_check_arguments(parser, '--quick')
    parser.add_argument(
        '--fix',
        type=Path,
        metavar='OUT',
        help='write a repaired copy into a new folder: annotations, links to the images and a list of what was changed',
    )
    parser.add_argument(
        '--html',
        type=Path,
        metavar='OUT.html',
        help='also write a page with the findings, statistics and pictures: of a config its first training batches, '
        'augmented, padded and turned back into colours; of a folder or file its images as they are annotated',
    )
    parser.add_argument('--cfg-options', nargs='+', action=Settings, metavar='KEY=VALUE', help='change the config')
    parser.add_argument('--max-classes', type=int, default=20, help='classes listed per file (default: %(default)s)')
    return parser.parse_args(argv)


def examine(args: argparse.Namespace) -> 'tuple[list[Problem], list[CocoFile]]':
    """Problems of the target and the annotation files it reads."""
    from swin_mmdet.datasets import check_folder, find_problems, label_by_name, read_coco
    from swin_mmdet.datasets.check import check_file
    from swin_mmdet.datasets.missing_data import check_folders

    options = check_options(args)
    if args.target.is_dir():
        found = located(args)
        print(f'train: {found.train_ann}, images in {found.train_images}')
        print(f'val:   {found.val_ann}, images in {found.val_images}')
        print(f'metainfo=dict(classes={found.classes!r})\n')
        return check_folder(found, options)
    if args.target.suffix == '.json':
        coco = read_coco(args.target)
        return check_file(coco, args.images, options), [coco]
    config = configured(args)
    check_folders(config)
    for line in label_by_name(config):
        print(line)
    return find_problems(config, options=options)


def write_page(args: argparse.Namespace, problems: 'list[Problem]') -> Path:
    """`--html`: the findings with statistics and pictures."""
    from swin_mmdet.report.check_page import page_of_config, page_of_file, page_of_folder

    title = args.target.resolve().name
    if args.target.is_dir():
        page = page_of_folder(title, located(args), args.allow_outside)
    elif args.target.suffix == '.json':
        page = page_of_file(title, args.target, args.images, args.allow_outside)
    else:
        page = page_of_config(title, configured(args))
    return page.write(args.html, problems)


def located(args: argparse.Namespace) -> 'CocoFolder':
    """The data of a folder of any layout."""
    from swin_mmdet.datasets.layouts import Split, find_data

    return find_data(args.target, CONVERTED, Split.read(args.split) if args.split else None)


def configured(args: argparse.Namespace) -> 'Config':
    """The config with its options."""
    config = read_config(str(args.target))
    if args.data:
        use_data(config, args.data, CONVERTED, args.split)
    apply_options(config, args.cfg_options or {})
    return config


def fix(args: argparse.Namespace) -> None:
    """Write a repaired copy and say what was changed and what is left."""
    from swin_mmdet.datasets.problems import ERROR, count, listing
    from swin_mmdet.datasets.repair.parts import parts_of_config, parts_of_file, parts_of_folder
    from swin_mmdet.datasets.repair.write import CHANGES, summary, what_is_left, write_repaired

    options = check_options(args)
    try:
        if args.target.is_dir():
            parts = parts_of_folder(args.target, lambda: located(args))
        elif args.target.suffix == '.json':
            parts = parts_of_file(args.target, args.images)
        else:
            parts = parts_of_config(configured(args))
        changes = write_repaired(parts, args.fix, options)
    except (FileNotFoundError, ValueError) as error:
        raise UserError(f'--fix: {error}') from error
    print(f'\n{args.fix}: a repaired copy, {count(len(changes), "change")} ({CHANGES} has them all)')
    print(summary(changes))
    left = [problem for problem in what_is_left(parts, args.fix, options) if problem.level == ERROR]
    if left:
        print(f'\n{count(len(left), "problem")} that a repair would have to guess at:\n{listing(left)}')


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    existing(str(args.target), 'config, folder or annotation file')
    if args.images:
        existing(str(args.images), 'folder of images')
    if args.fix and args.fix.exists() and (not args.fix.is_dir() or any(args.fix.iterdir())):
        raise UserError(f'--fix {args.fix}: there is something already; name a new folder')
    if args.html and args.html.is_dir():
        raise UserError(f'--html {args.html} is a folder; name a file in it, such as {args.html / "check.html"}')
    if args.data and (args.target.is_dir() or args.target.suffix == '.json'):
        raise UserError(f'--data {args.data}: it goes with a config; {args.target} is data itself')
    if args.data:
        existing(args.data, 'data folder')
    code = report(args)
    if args.fix:
        fix(args)
    return code


def report(args: argparse.Namespace) -> int:
    """Print the findings; 1 if there are problems."""
    from swin_mmdet.datasets import describe
    from swin_mmdet.datasets.problems import ERROR, count, listing

    try:
        problems, files = examine(args)
    except (FileNotFoundError, ValueError) as error:
        print(error)
        if args.html:
            from swin_mmdet.datasets import Problem
            from swin_mmdet.report.check_page import CheckPage

            problem = Problem(str(args.target), str(error), 'put it right, and check again')
            print(f'page: {CheckPage(args.target.name).write(args.html, [problem])}')
        return 1
    for coco in files:
        print(describe(coco, args.max_classes), end='\n\n')
    errors = [problem for problem in problems if problem.level == ERROR]
    warnings = [problem for problem in problems if problem.level != ERROR]
    for found, noun in ((errors, 'problem'), (warnings, 'warning')):
        print(f'{count(len(found), noun)}{":" if found else ""}\n{listing(found)}'.rstrip())
    if args.html:
        print(f'\npage: {write_page(args, problems)}')
    if errors and not args.fix:
        print('\n--fix OUT writes a copy in which is repaired what takes no guess')
    return int(bool(errors))

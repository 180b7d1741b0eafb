"""Say what is in a checkpoint with a Swin backbone, or rewrite it for another program.

python tools/convert_checkpoint.py --inspect swin_tiny_patch4_window7_224.pth
python tools/convert_checkpoint.py official_detector.pth detector.pth --to mmdet
python tools/convert_checkpoint.py swin_base.pth swin_base.safetensors --to timm
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from swin_mmdet.commands.arguments import ArgumentParser
from swin_mmdet.errors import UserError, naming_checkpoint

if TYPE_CHECKING:
    from swin_mmdet.checkpoint.convert import Converted
    from swin_mmdet.checkpoint.translate import CanonicalWeights

# the keys of swin_mmdet.checkpoint.convert.TARGETS, which takes seconds to import
PROGRAMS = 'mmdet', 'official', 'swin_mmdet', 'timm', 'torchvision', 'transformers'
SUFFIXES = ('.pth', '.pt', '.bin', '.safetensors')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', metavar='SRC', help='checkpoint: a file of any known format, or a URL')
    parser.add_argument('target', metavar='DST', nargs='?', help=f'file to write: {", ".join(SUFFIXES)}')
    parser.add_argument('--to', choices=PROGRAMS, help='the program to write for')
    parser.add_argument('--inspect', action='store_true', help='print what the file holds, write nothing')
    parser.add_argument(
        '--raw', action='store_true', help='where a file holds averaged (EMA) weights too, take the raw'
    )
    parser.add_argument('--prefix', help="what the backbone's keys start with, where a file holds several backbones")
    parser.add_argument(
        '--window-size', type=int, help='of a SwinV2 for torchvision, whose files depend on it (V1 files say theirs)'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.inspect:
        if args.target or args.to:
            raise UserError('--inspect writes nothing: leave DST and --to out')
    else:
        check_target(args)
    if '://' not in args.source and not Path(args.source).exists():
        raise UserError(f'checkpoint {args.source} does not exist (looked from {Path.cwd()}); check the path')
    from swin_mmdet.checkpoint import read_checkpoint, to_canonical
    from swin_mmdet.checkpoint.convert import convert
    from swin_mmdet.checkpoint.describe import describe_checkpoint
    from swin_mmdet.checkpoint.write import check_written, write_checkpoint

    file = read_checkpoint(args.source, averaged=not args.raw)
    with naming_checkpoint(args.source):
        found = to_canonical(file.state_dict, args.prefix)
        if args.inspect:
            print('\n'.join(describe_checkpoint(file, found)))
            return
        converted = convert(found, args.to, args.window_size)
    write_checkpoint(args.target, file, converted)
    check_written(args.target, found)
    report(args, found, converted)


def check_target(args: argparse.Namespace) -> None:
    if not args.target or not args.to:
        raise UserError('name the file to write and --to the program to write for, or --inspect the file')
    if not args.target.endswith(SUFFIXES):
        raise UserError(f'{args.target}: the name must end in one of {", ".join(SUFFIXES)}')
    if Path(args.target).exists():
        raise UserError(f'{args.target} exists; choose another name, or delete it')
    if not Path(args.target).resolve().parent.is_dir():
        raise UserError(f'no folder {Path(args.target).parent} to write into')


def report(args: argparse.Namespace, found: 'CanonicalWeights', converted: 'Converted') -> None:
    from swin_mmdet.checkpoint.architecture import describe_architecture

    detection = found.detection
    print(f'{args.source}: {detection.format.name}, SwinV{detection.version}: {describe_architecture(found.backbone)}')
    reasons = Counter(converted.left_out.values())
    for reason, count in reasons.items():
        print(f'left out: {count} ({reason})')
    print(f'{args.target}: {len(converted.state_dict)} tensors for {args.to}, read back and compared')

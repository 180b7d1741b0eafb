"""Say what is in a checkpoint with a Swin backbone, or rewrite it for another program.

python tools/convert_checkpoint.py --inspect swin_tiny_patch4_window7_224.pth
python tools/convert_checkpoint.py official_detector.pth detector.pth --to mmdet
python tools/convert_checkpoint.py swin_base.pth swin_base.safetensors --to timm
"""

import argparse
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from launch import UserError, run_cli

from swin_mmdet.command_line import ArgumentParser

if TYPE_CHECKING:
    from swin_mmdet.checkpoint import CheckpointFile
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

    try:
        file = read_checkpoint(args.source, averaged=not args.raw)
        found = to_canonical(file.state_dict, args.prefix)
        if args.inspect:
            print('\n'.join(describe(file, found)))
            return
        converted = convert(found, args.to, args.window_size)
    except (ValueError, FileNotFoundError) as error:
        raise UserError(str(error) if args.source in str(error) else f'{args.source}: {error}') from error
    write(args.target, file, converted)
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


def describe(file: 'CheckpointFile', found: 'CanonicalWeights') -> Iterator[str]:
    """What a user wants to know before using a file, a line each."""
    from swin_mmdet.checkpoint.architecture import describe_architecture

    detection, backbone = found.detection, found.backbone
    types = Counter(str(value.dtype).removeprefix('torch.') for value in file.state_dict.values())
    values = sum(value.numel() for value in file.state_dict.values())
    yield f'file          {file.source}'
    yield f'format        {detection.format.name}, SwinV{detection.version}: {detection.reason}'
    yield f'architecture  {describe_architecture(backbone)}'
    yield f'weights       {len(file.state_dict)} tensors, {values:,} values, {", ".join(sorted(types))}'
    if file.weights:
        yield f'              {file.weights}'
    yield f'EMA           {"the file holds averaged and raw weights" if file.has_raw_and_averaged else "no"}'
    norms = sorted(key.split('.')[0] for key in backbone if key.startswith('norm') and key.endswith('.weight'))
    yield f'norms         {", ".join(norms) or "none"}'
    if 'head.weight' in backbone:
        yield f'classifier    {backbone["head.weight"].shape[0]} classes'
    parts = Counter('.'.join(key.split('.')[:2]) for key in found.rest)
    yield 'beside it     ' + (', '.join(f'{name} ({count})' for name, count in parts.items()) or 'nothing')
    for key, value in file.meta.items():
        if isinstance(value, list | tuple):
            value = f'{len(value)}: {", ".join(map(str, value))}'
        yield f'{key:<13} {value}'


def write(target: str, file: 'CheckpointFile', converted: 'Converted') -> None:
    """Write the file as a whole or not at all."""
    import torch

    # contiguous and apart: safetensors refuses views of one storage, and a view would save all of it
    state_dict = {
        key: value.clone(memory_format=torch.contiguous_format) for key, value in converted.state_dict.items()
    }
    partial = Path(f'{target}.partial')
    try:
        if target.endswith('.safetensors'):
            from safetensors.torch import save_file

            save_file(state_dict, partial, metadata={'format': 'pt'})
        else:
            classes = file.meta.get('classes')
            meta = {'dataset_meta': {'classes': tuple(classes)}} if classes else {}
            torch.save({converted.wrapper: state_dict, 'meta': meta} if converted.wrapper else state_dict, partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def check_written(target: str, found: 'CanonicalWeights') -> None:
    """Read the file again and compare every weight of the backbone, so that a fault here is never found in training."""
    from swin_mmdet.checkpoint import read_checkpoint, to_canonical
    from swin_mmdet.checkpoint.convert import different_weights

    different = different_weights(found, to_canonical(read_checkpoint(target).state_dict))
    if different:
        raise RuntimeError(f'{target} reads back with other weights: {different[:5]}')


def report(args: argparse.Namespace, found: 'CanonicalWeights', converted: 'Converted') -> None:
    from swin_mmdet.checkpoint.architecture import describe_architecture

    detection = found.detection
    print(f'{args.source}: {detection.format.name}, SwinV{detection.version}: {describe_architecture(found.backbone)}')
    reasons = Counter(converted.left_out.values())
    for reason, count in reasons.items():
        print(f'left out: {count} ({reason})')
    print(f'{args.target}: {len(converted.state_dict)} tensors for {args.to}, read back and compared')


if __name__ == '__main__':
    run_cli(main)

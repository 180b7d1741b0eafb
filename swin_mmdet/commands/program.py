"""The program `swin-mmdet COMMAND`, of whoever installed the package; `python -m swin_mmdet COMMAND` is the same."""

import argparse
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import NoReturn

import swin_mmdet
from swin_mmdet.commands.arguments import ArgumentParser
from swin_mmdet.commands.run import run_cli
from swin_mmdet.config.nearest import meant

NAME = 'swin-mmdet'


@dataclass(frozen=True)
class Command:
    """A file of this folder, which is `tools/MODULE.py` too, and what it is for: to import them all takes seconds."""

    module: str
    purpose: str


COMMANDS = {
    'train': Command('train', 'train the detector of a config, or with --data on your own folder'),
    'test': Command('test', 'evaluate a checkpoint'),
    'predict': Command('predict', 'detect objects in images and videos, draw them and write COCO results'),
    'export': Command('export', 'write a detector into a file that runs without mmdet'),
    'check': Command('check_dataset', 'list everything that is wrong with data before a training'),
    'convert-dataset': Command('convert_dataset', 'write labelled images of any layout as a COCO folder'),
    'convert-checkpoint': Command('convert_checkpoint', 'say what is in a checkpoint, or rewrite it for others'),
    'analyze': Command('analyze_model', 'parameters, operations and memory of a detector'),
    'doctor': Command('doctor', 'say what is wrong with the environment, and the line that mends it'),
    'show-results': Command('show_results', 'the AP of the newest evaluation of a training or test'),
    'report': Command('report', 'write a page about a training: curves, AP, errors with their images, data'),
    'make-shapes': Command('make_shapes_dataset', 'draw a small data set to try all of this on'),
}


def main() -> NoReturn:
    """Run the command that the arguments of this process name."""
    run_cli(_run_command)


def _run_command() -> int | None:
    command = _command(sys.argv[1:2])
    # the parsers of the commands read it, as those of scripts do
    sys.argv = [f'{NAME} {sys.argv[1]}', *sys.argv[2:]]
    return import_module(f'swin_mmdet.commands.{command.module}').main()


def _command(words: list[str]) -> Command:
    width = max(map(len, COMMANDS)) + 2
    parser = ArgumentParser(
        prog=NAME,
        usage=f'{NAME} [--help] [--version] COMMAND ...',
        description='Swin Transformer detectors for MMDetection.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='commands:\n'
        + '\n'.join(f'  {name:<{width}}{command.purpose}' for name, command in COMMANDS.items())
        + f'\n\n{NAME} COMMAND --help lists the arguments of a command.',
    )
    parser.add_argument('--version', action='version', version=f'{NAME} {swin_mmdet.__version__}')
    parser.add_argument('command', metavar='COMMAND', help='one of those below, with its arguments')
    name = parser.parse_args(words).command
    if name not in COMMANDS:
        parser.error(f'no command {name}' + meant(name, COMMANDS, f'; there are {", ".join(COMMANDS)}'))
    return COMMANDS[name]

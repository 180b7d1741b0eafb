"""What a detector costs for one image: parameters, operations and memory of each part; on a CPU, without weights."""

import argparse
import csv
import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, astuple
from pathlib import Path
from typing import TYPE_CHECKING

from swin_mmdet.commands.arguments import ArgumentParser, Settings
from swin_mmdet.commands.prepare import merge
from swin_mmdet.config.files import existing_config, project_configs, read_config
from swin_mmdet.errors import UserError

if TYPE_CHECKING:
    from swin_mmdet.analysis import PartCost

MB = 2**20
# float32 copies of a parameter: itself; its gradient and the two averages of AdamW
WEIGHT, TRAINING_STATE = 4, 12
HEADER = ('part', 'parameters M', "GFLOPs (paper's)", 'GMACs', 'GFLOPs', 'weights MB', 'gradients, AdamW MB',
          'saved MB')  # fmt: skip
ABOUT = """
GFLOPs (paper's)     multiply-adds counted once, tokens padded before the qkv layer, no products of activations in
                     heads, all proposals, masks of 100 regions: the convention of the published tables
GMACs, GFLOPs        multiply-adds of every matrix product and convolution that runs here, and two operations for each;
                     norms, activations, softmax, RoIAlign and NMS are not counted
weights ... saved    float32: parameters; gradients and AdamW's averages of those that train; what a training step's
                     forward pass of one image with 32 objects keeps for the backward pass, module by module (half of
                     it and less in mixed precision with fused operations)
"""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument('config', nargs='*', help='config files; with --csv none for all of this project')
    parser.add_argument(
        '--shape', nargs=2, type=int, default=(800, 1280), metavar=('HEIGHT', 'WIDTH'), help='default: 800 1280'
    )
    parser.add_argument('--json', action='store_true', help='print JSON instead of a table')
    parser.add_argument('--csv', metavar='FILE', help='write a line for each config, beside the published figures')
    parser.add_argument('--cfg-options', nargs='+', action=Settings, default={}, metavar='KEY=VALUE')
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if min(args.shape) < 32:
        raise UserError(f'--shape {args.shape[0]} {args.shape[1]}: sides of at least 32 pixels')
    for path in args.config:
        existing_config(path)
    if args.csv:
        write_csv(Path(args.csv), [Path(path) for path in args.config] or all_configs(), args)
        return
    if not args.config:
        raise UserError('give a config file, or --csv FILE for all configs of this project')
    # what building a model logs is no result
    with redirect_stdout(sys.stderr):
        costs = {path: analyze(path, args.cfg_options, args.shape) for path in args.config}
    if args.json:
        print(json.dumps([summary(path, args.shape, parts) for path, parts in costs.items()], indent=1))
        return
    for path, parts in costs.items():
        print(f'{path}, {args.shape[0]} x {args.shape[1]}\n\n{table(parts)}')
    print(ABOUT)


def analyze(path: str | Path, options: dict, shape: tuple[int, int]) -> 'list[PartCost]':
    """The cost of each part of a config's detector."""
    cfg = read_config(str(path))
    merge(cfg, options)
    if 'model' not in cfg:
        raise UserError(f'config {path} has no `model`')
    from swin_mmdet.analysis import build_without_weights, measure_cost

    try:
        return measure_cost(build_without_weights(cfg), *shape)
    except Exception as error:  # of any model: the reason is all that is needed
        raise UserError(f'{path} cannot be analyzed: {type(error).__name__}: {error}') from error


def summary(path: str | Path, shape: tuple[int, int], parts: 'list[PartCost]') -> dict:
    """Totals and parts, in plain numbers."""
    names = ('parameters', 'trained', 'macs', 'paper_macs', 'saved_bytes')
    return {
        'config': str(path),
        'shape': list(shape),
        **{name: sum(getattr(part, name) for part in parts) for name in names},
        'parts': [asdict(part) for part in parts],
    }


def table(parts: 'list[PartCost]') -> str:
    from swin_mmdet.analysis import PartCost

    numbers = [astuple(part)[1:] for part in parts]
    total = PartCost('total', *(sum(column) for column in zip(*numbers)))
    rows = [HEADER, *(row(part) for part, own in zip([*parts, total], [*numbers, (1,)]) if any(own))]
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join(
        '  '.join([name.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:]))])
        for name, *cells in rows
    )


def row(part: 'PartCost') -> tuple[str, ...]:
    """The cells of a part, in the order of HEADER."""
    numbers = (
        part.parameters / 1e6, part.paper_macs / 1e9, part.macs / 1e9, 2 * part.macs / 1e9,
        WEIGHT * part.parameters / MB, TRAINING_STATE * part.trained / MB, part.saved_bytes / MB,
    )  # fmt: skip
    return part.name, *(f'{number:.1f}' for number in numbers)


def all_configs() -> list[Path]:
    return sorted(path for path in project_configs().glob('*/*.py') if path.parent.name != '_base_')


def write_csv(out: Path, paths: list[Path], args: argparse.Namespace) -> None:
    """A line for each config, written as soon as it is known; one that cannot be analyzed has its reason in `note`."""
    published = published_figures()
    names = ('config', 'height', 'width', 'params_m', 'published_params_m', 'gflops_paper', 'published_gflops',
             'difference_percent', 'gmacs', 'gflops', 'saved_mb', 'note')  # fmt: skip
    with out.open('w', newline='') as file:
        writer = csv.DictWriter(file, names, lineterminator='\n')
        writer.writeheader()
        for path in paths:
            name = config_name(path)
            line = dict(config=name, height=args.shape[0], width=args.shape[1]) | published.get(name, {})
            try:
                cost = summary(path, args.shape, analyze(path, args.cfg_options, args.shape))
            except UserError as error:
                line['note'] = str(error).splitlines()[0]
            else:
                line |= figures(cost, line.get('published_gflops'))
            writer.writerow(line)
            file.flush()
            print(', '.join(f'{key} {value}' for key, value in line.items() if value not in (None, '')), flush=True)


def figures(cost: dict, published_gflops: str | None) -> dict:
    paper = cost['paper_macs'] / 1e9
    return {
        'params_m': f'{cost["parameters"] / 1e6:.2f}',
        'gflops_paper': f'{paper:.1f}',
        'difference_percent': f'{100 * (paper / float(published_gflops) - 1):.2f}' if published_gflops else '',
        'gmacs': f'{cost["macs"] / 1e9:.1f}',
        'gflops': f'{2 * cost["macs"] / 1e9:.1f}',
        'saved_mb': f'{cost["saved_bytes"] / MB:.0f}',
    }


def config_name(path: Path) -> str:
    """As in published.csv: the path under configs/ without its suffix."""
    path, ours = path.resolve(), project_configs()
    return str((path.relative_to(ours) if path.is_relative_to(ours) else path).with_suffix(''))


def published_figures() -> dict[str, dict[str, str]]:
    """Config -> published parameters and operations, the first that anybody gave."""
    path = project_configs() / 'published.csv'
    found: dict[str, dict[str, str]] = {}
    if path.exists():
        with path.open(newline='') as file:
            for line in csv.DictReader(file):
                figures = found.setdefault(line['config'], {'published_params_m': '', 'published_gflops': ''})
                for name in ('params_m', 'gflops'):
                    figures[f'published_{name}'] = figures[f'published_{name}'] or line[name]
    return found

"""Which checkpoint formats are read and written, and how far our maps are from those of the library of a file.

    python tools/benchmarks/checkpoint_parity.py --out tools/benchmarks/results/checkpoint_parity.csv

Needs timm, transformers and mmdet; a minute on two cores. The libraries' models are those of `tests/checkpoint`.
"""

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import torch
import torch.nn.functional as F
from harness import write_rows
from mmdet.models.backbones import SwinTransformer as MMDetSwin
from torch import Tensor, nn

from swin_mmdet.checkpoint import load_backbone_weights, to_canonical
from swin_mmdet.checkpoint.convert import TARGETS, convert
from swin_mmdet.checkpoint.formats import FORMATS
from swin_mmdet.models import SwinTransformer, SwinTransformerV2

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.checkpoint import libraries
from tests.checkpoint.libraries import BASE, BASE_12, ORACLES, SMALL, TINY, TINY_V2, Sizes

V1_SIZES = {'tiny, window 7, 448 px': TINY, 'base, window 7, 448 px': BASE, 'base, window 12, 768 px': BASE_12}
V2_SIZES = {'V2 tiny, window 8, 512 px': TINY_V2}


def arguments_of(sizes: Sizes) -> dict:
    names = ('embed_dims', 'depths', 'num_heads', 'window_size')
    return {name: getattr(sizes, name) for name in names}


def distance(found: list[Tensor], expected: list[Tensor]) -> float:
    return max((one - other).abs().max().item() for one, other in zip(found, expected, strict=True))


def own_distance(cls: type[nn.Module], theirs: nn.Module, expected: list[Tensor], sizes: Sizes, image: Tensor) -> float:
    """The largest difference between their maps and those of our model with their weights."""
    model = cls(**arguments_of(sizes)).eval()
    load_backbone_weights(model, theirs.state_dict())
    return distance(model(image), expected)


def mmdet_distance(sizes: Sizes, image: Tensor) -> float:
    theirs = libraries.randomised(MMDetSwin(**arguments_of(sizes)))
    return own_distance(SwinTransformer, theirs, theirs(image), sizes, image)


def library_distance(name: str, version: int, sizes: Sizes, image: Tensor) -> float:
    build, maps = ORACLES[version][name]
    theirs = libraries.randomised(build(sizes))
    normed = [F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2) for x in maps(theirs, image)]
    return own_distance({1: SwinTransformer, 2: SwinTransformerV2}[version], theirs, normed, sizes, image)


def conversion_distance(name: str, version: int, image: Tensor) -> float:
    """Their weights, converted into each of the other libraries: the maps there against the maps here."""
    table = ORACLES[version]
    build, maps = table[name]
    theirs = libraries.randomised(build(SMALL))
    expected, worst = maps(theirs, image), 0.0
    for other, (build_other, maps_other) in table.items():
        weights = convert(to_canonical(theirs.state_dict()), other, SMALL.window_size).state_dict
        model = build_other(SMALL)
        if other == 'transformers':
            model = type(model).from_pretrained(None, config=model.config, state_dict=weights)
        else:
            model.load_state_dict(weights, strict=True)
        worst = max(worst, distance(maps_other(model.eval(), image), expected))
    return worst


def image_of(sizes: Sizes) -> Tensor:
    return torch.randn(1, 3, sizes.image, sizes.image)


def measure(name: str) -> dict[str, float]:
    """Words -> largest difference, for a library that is installed."""
    found = {}
    for words, sizes in V1_SIZES.items():
        image = image_of(sizes)
        found[words] = mmdet_distance(sizes, image) if name == 'mmdet' else library_distance(name, 1, sizes, image)
    if name in ORACLES[2]:
        for words, sizes in V2_SIZES.items():
            found[words] = library_distance(name, 2, sizes, image_of(sizes))
        found['converted into the other libraries'] = max(
            conversion_distance(name, version, image_of(SMALL)) for version in (1, 2)
        )
    return found


def rows() -> list[dict]:
    found = []
    for name in dict.fromkeys(item.name for item in FORMATS):
        row = {'format': name, 'write': 'yes' if name in TARGETS else '', 'library': '', 'largest difference': ''}
        if name in ORACLES[1] or name == 'mmdet':
            row['library'] = f'{name} {version(name)}'
            row['largest difference'] = '; '.join(
                f'{words}: {value:.0e}' if value else f'{words}: 0' for words, value in measure(name).items()
            )
        print(json.dumps(row), flush=True)
        found.append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    args = parser.parse_args()
    torch.manual_seed(0)
    with torch.no_grad():
        table = rows()
    if args.out:
        write_rows(args.out, table)


if __name__ == '__main__':
    main()

"""Which checkpoint formats are read and written, and how far our maps are from those of the library of a file.

    python tools/benchmarks/checkpoint_parity.py --out tools/benchmarks/results/checkpoint_parity.csv

Needs timm, transformers and mmdet; a minute on two cores. The libraries' models are those of `tests/checkpoint`.
"""

import argparse
import csv
import json
import sys
from importlib.metadata import version
from pathlib import Path

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import torch
import torch.nn.functional as F
from mmdet.models.backbones import SwinTransformer as MMDetSwin
from torch import Tensor, nn

from swin_mmdet.checkpoint import load_backbone_weights, to_canonical
from swin_mmdet.checkpoint.convert import TARGETS, convert
from swin_mmdet.checkpoint.formats import FORMATS
from swin_mmdet.models import SwinTransformer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.checkpoint import libraries
from tests.checkpoint.libraries import SMALL, Sizes

SIZES = {
    'tiny, window 7, 448 px': Sizes(96, (2, 2, 6, 2), (3, 6, 12, 24), 7, 448),
    'base, window 12, 768 px': Sizes(128, (2, 2, 18, 2), (4, 8, 16, 32), 12, 768),
}
V1 = {
    'timm': (libraries.timm_v1, libraries.timm_maps),
    'torchvision': (libraries.torchvision_v1, libraries.torchvision_maps),
    'transformers': (libraries.transformers_v1, libraries.transformers_maps),
}
V2 = {
    'timm': (libraries.timm_v2, libraries.timm_maps),
    'torchvision': (libraries.torchvision_v2, libraries.torchvision_maps),
    'transformers': (libraries.transformers_v2, libraries.transformers_maps),
}


def arguments_of(sizes: Sizes) -> dict:
    names = ('embed_dims', 'depths', 'num_heads', 'window_size')
    return {name: getattr(sizes, name) for name in names}


def distance(found: list[Tensor], expected: list[Tensor]) -> float:
    return max((one - other).abs().max().item() for one, other in zip(found, expected, strict=True))


def v1_distance(theirs: nn.Module, expected: list[Tensor], sizes: Sizes, image: Tensor) -> float:
    model = SwinTransformer(**arguments_of(sizes)).eval()
    load_backbone_weights(model, theirs.state_dict())
    return distance(model(image), expected)


def mmdet_distance(sizes: Sizes, image: Tensor) -> float:
    theirs = libraries.randomised(MMDetSwin(**arguments_of(sizes)))
    return v1_distance(theirs, theirs(image), sizes, image)


def library_distance(name: str, sizes: Sizes, image: Tensor) -> float:
    build, maps = V1[name]
    theirs = libraries.randomised(build(sizes))
    normed = [F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2) for x in maps(theirs, image)]
    return v1_distance(theirs, normed, sizes, image)


def v2_distance(name: str, image: Tensor) -> float:
    """Their V2 weights, converted into each of the other libraries: the maps there against the maps here."""
    build, maps = V2[name]
    theirs = libraries.randomised(build(SMALL))
    expected, worst = maps(theirs, image), 0.0
    for other, (build_other, maps_other) in V2.items():
        weights = convert(to_canonical(theirs.state_dict()), other, SMALL.window_size).state_dict
        model = build_other(SMALL)
        if other == 'transformers':
            model = type(model).from_pretrained(None, config=model.config, state_dict=weights)
        else:
            model.load_state_dict(weights, strict=True)
        worst = max(worst, distance(maps_other(model.eval(), image), expected))
    return worst


def _short(value: float) -> str:
    return f'{value:.0e}' if value else '0'


def rows() -> list[dict]:
    found = []
    for name in dict.fromkeys(item.name for item in FORMATS):
        row = {
            'format': name,
            'write': 'yes' if name in TARGETS else '',
            'library': '',
            'difference V1': '',
            'difference V2': '',
        }
        if name in V1 or name == 'mmdet':
            row['library'] = f'{name} {version(name)}'
            worst = {}
            for words, sizes in SIZES.items():
                image = torch.randn(1, 3, sizes.image, sizes.image)
                value = mmdet_distance(sizes, image) if name == 'mmdet' else library_distance(name, sizes, image)
                worst[words] = _short(value)
            row['difference V1'] = '; '.join(f'{words}: {value}' for words, value in worst.items())
        if name in V2:
            row['difference V2'] = _short(v2_distance(name, torch.randn(1, 3, SMALL.image, SMALL.image)))
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
        with args.out.open('w', newline='') as file:
            writer = csv.DictWriter(file, table[0])
            writer.writeheader()
            writer.writerows(table)


if __name__ == '__main__':
    main()

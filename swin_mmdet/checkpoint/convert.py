"""A checkpoint of any known format into the files of another program."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from swin_mmdet.checkpoint.canonical import CANONICAL
from swin_mmdet.checkpoint.detector import BACKBONE, heads_of
from swin_mmdet.checkpoint.from_mmdet import MMDET
from swin_mmdet.checkpoint.from_official import OFFICIAL
from swin_mmdet.checkpoint.from_timm import TIMM
from swin_mmdet.checkpoint.from_torchvision import TORCHVISION
from swin_mmdet.checkpoint.from_transformers import TRANSFORMERS
from swin_mmdet.checkpoint.layout import Layout, StateDict
from swin_mmdet.checkpoint.translate import CanonicalWeights, from_canonical
from swin_mmdet.ops.relative_position import relative_coords_table, relative_position_index, window_size_of_table

OUTPUT_NORM = re.compile(r'^norm\d+\.')
CLASSIFIER = re.compile(r'^(norm|head)\.')
TABLE_OR_SCALE = re.compile(r'^(stages\.\d+\.blocks\.\d+\.attn\.)(relative_position_bias_table|logit_scale)$')


@dataclass(frozen=True)
class Target:
    """What a program's files hold besides the layout of the backbone.

    Attributes:
        layout: names and orders of the backbone's weights.
        versions: of Swin that the program has.
        detectors: whole detectors are written, with the backbone under `backbone.`.
        prefix: of a backbone without a detector, by version.
        wrapper: key of a backbone's weights in a `.pth` file; '' for none.
        without: pattern of canonical keys that the program has no place for, with its words.
        index: makes the index buffer that the program wants to find in a file, from a window's [n, n] index.
    """

    layout: Layout
    versions: tuple[int, ...] = (1, 2)
    detectors: bool = False
    prefix: tuple[str, str] = ('', '')
    wrapper: str = ''
    without: tuple[re.Pattern, str] | None = None
    index: Callable[[Tensor], Tensor] | None = None


NO_OUTPUT_NORMS = (OUTPUT_NORM, 'its feature maps have no norms')
TARGETS = {
    'swin_mmdet': Target(CANONICAL, detectors=True, wrapper='state_dict'),
    'mmdet': Target(
        MMDET,
        versions=(1,),
        detectors=True,
        prefix=('backbone.', ''),
        wrapper='state_dict',
        without=(CLASSIFIER, 'its backbone has no classifier'),
        index=Tensor.clone,
    ),
    'official': Target(OFFICIAL, detectors=True, wrapper='model', index=Tensor.clone),
    'timm': Target(TIMM, without=NO_OUTPUT_NORMS),
    'torchvision': Target(TORCHVISION, without=NO_OUTPUT_NORMS, index=Tensor.flatten),
    'transformers': Target(TRANSFORMERS, prefix=('swin.', 'swinv2.')),
}


@dataclass(frozen=True)
class Converted:
    """Weights for another program.

    Attributes:
        state_dict: as its files have them.
        wrapper: the key to put it under in a `.pth` file; '' for none.
        left_out: keys of the source without a place in the target, with the reason.
    """

    state_dict: StateDict
    wrapper: str
    left_out: dict[str, str]


def convert(found: CanonicalWeights, to: str, window_size: int | None = None) -> Converted:
    """Rewrite weights for another program.

    Args:
        found: what `to_canonical` returned.
        to: one of `TARGETS`.
        window_size: of a SwinV2 for torchvision, whose files hold tables that depend on it; V1 files say theirs.

    Raises:
        ValueError: an unknown target, or one that lacks the architecture.
    """
    if to not in TARGETS:
        raise ValueError(f'to={to!r} must be one of {sorted(TARGETS)}')
    target, version = TARGETS[to], found.detection.version
    if version not in target.versions:
        raise ValueError(f'{to} has no SwinV{version}')
    left_out = dict(found.dropped)
    backbone = dict(found.backbone)
    without = target.without
    prefix = target.prefix[version - 1]
    if to == 'transformers' and any(map(OUTPUT_NORM.match, backbone)):
        # a classifier's files have a prefix and the classifier, a V1 backbone's files have output norms
        prefix, without = ('', (CLASSIFIER, 'a backbone has no classifier'))
        if version == 2:
            without = (OUTPUT_NORM, 'its V2 backbone has no output norms')
    if without:
        pattern, why = without
        left_out |= {key: f'{to}: {why}' for key in backbone if pattern.match(key)}
        backbone = {key: value for key, value in backbone.items() if not pattern.match(key)}

    heads, foreign = heads_of(found)
    left_out |= foreign
    if heads and not target.detectors:
        left_out |= dict.fromkeys(heads, f'{to} has no detectors')
        heads = {}
    if heads:
        prefix = BACKBONE
    weights = from_canonical(backbone, target.layout, prefix)
    weights |= _buffers(backbone, to, target, prefix, window_size)
    wrapper = 'state_dict' if heads else target.wrapper
    return Converted(weights | heads, wrapper, left_out)


def _buffers(backbone: StateDict, to: str, target: Target, prefix: str, window_size: int | None) -> StateDict:
    """The buffers that strict loading in the target asks for, if any, though any model can compute them."""
    buffers: StateDict = {}
    if target.index is None:
        return buffers
    for key, value in backbone.items():
        found = TABLE_OR_SCALE.match(key)
        if found is None:
            continue
        is_v1 = found[2] == 'relative_position_bias_table'
        if not is_v1 and to == 'official':
            # Microsoft's V2 loader removes them from a file
            continue
        size = window_size_of_table(value) if is_v1 else window_size
        if size is None:
            raise ValueError(f'a SwinV2 for {to} needs window_size: its files hold tables of that size')
        name = prefix + target.layout.their_key(found[1] + 'relative_position_index')
        buffers[name] = target.index(relative_position_index(size))
        if not is_v1:
            buffers[name.replace('relative_position_index', 'relative_coords_table')] = relative_coords_table(size)
    return buffers


def different_weights(first: CanonicalWeights, second: CanonicalWeights) -> list[str]:
    """The keys of `second` whose values differ from those of `first`, or are missing there."""
    return [
        key
        for key, value in second.backbone.items()
        if key not in first.backbone or not torch.equal(first.backbone[key], value)
    ]

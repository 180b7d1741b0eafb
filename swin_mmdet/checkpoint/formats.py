"""Which program wrote a state dict: recognised by marks that only its keys have."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from swin_mmdet.checkpoint.from_mmdet import MMDET
from swin_mmdet.checkpoint.from_official import OFFICIAL, RECOMPUTED
from swin_mmdet.checkpoint.rename import StateDict, Translation


@dataclass(frozen=True)
class CheckpointFormat:
    """A source: its name, a key pattern that only this source writes, and the way to the canonical layout."""

    name: str
    mark: str
    translation: Translation


FORMATS = (
    CheckpointFormat('swin_mmdet', r'^stages\.\d+\.blocks\.\d+\.attn\.qkv\.weight$', Translation(drops=(RECOMPUTED,))),
    CheckpointFormat('official', r'^layers\.\d+\.blocks\.\d+\.attn\.qkv\.weight$', OFFICIAL),
    CheckpointFormat('mmdet', r'^stages\.\d+\.blocks\.\d+\.attn\.w_msa\.qkv\.weight$', MMDET),
)

# every Swin file has the patch embedding's weight, so what stands before it is the backbone's prefix
ANCHOR = re.compile(r'^(|.*\.)patch_embed\.(proj|projection)\.weight$')


@dataclass(frozen=True)
class Detection:
    """What `detect_format` found: the format, the prefix of the backbone's keys, and why."""

    format: CheckpointFormat
    prefix: str
    reason: str


def detect_format(state_dict: Mapping[str, Tensor]) -> Detection:
    """Name the source of a state dict.

    Raises:
        ValueError: no backbone, more than one, or the marks of no format or of several; with the keys that were seen.
    """
    prefix = _backbone_prefix(state_dict)
    keys = [key.removeprefix(prefix) for key in state_dict if key.startswith(prefix)]
    found = []
    for candidate in FORMATS:
        hit = next((key for key in keys if re.search(candidate.mark, key)), None)
        if hit is not None:
            found.append(Detection(candidate, prefix, f'it has the key {prefix + hit!r}'))
    if len(found) != 1:
        names = ' and '.join(f'{item.format.name} ({item.reason})' for item in found) or 'no known Swin format'
        known = ', '.join(item.name for item in FORMATS)
        raise ValueError(f'the keys look like {names}; readable are: {known}. First keys: {_sample(keys)}')
    return found[0]


def to_canonical(state_dict: Mapping[str, Tensor]) -> tuple[StateDict, dict[str, str], Detection]:
    """The backbone of a state dict under canonical keys, the keys that were left out with reasons, and the source."""
    detection = detect_format(state_dict)
    prefix = detection.prefix
    backbone = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    canonical, dropped = detection.format.translation.apply(backbone)
    dropped = {prefix + key: reason for key, reason in dropped.items()}
    dropped |= {key: 'not in the backbone' for key in state_dict if not key.startswith(prefix)}
    return canonical, dropped, detection


def translate_in_place(state_dict: dict[str, Tensor], prefix: str) -> None:
    """Bring the backbone's keys under `prefix` to canonical form, where they are in another known format.

    For the pre-hook of `load_state_dict`: keys that are no backbone are left alone, for PyTorch to report.
    """
    backbone = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    if not {'patch_embed.proj.weight', 'patch_embed.projection.weight'} & backbone.keys():
        return
    canonical, _, _ = to_canonical(backbone)
    for key in backbone:
        del state_dict[prefix + key]
    state_dict.update({prefix + key: value for key, value in canonical.items()})


def _backbone_prefix(state_dict: Mapping[str, Tensor]) -> str:
    prefixes = sorted({match[1] for key in state_dict if (match := ANCHOR.match(key))})
    if not prefixes:
        raise ValueError(
            'no Swin backbone found: no key ends in patch_embed.proj.weight or patch_embed.projection.weight. '
            f'First keys: {_sample(state_dict)}'
        )
    if len(prefixes) > 1:
        raise ValueError(f'more than one backbone found, under the prefixes {prefixes}; pass one of them alone')
    return prefixes[0]


def _sample(keys: Iterable[str]) -> list[str]:
    return sorted(keys)[:5]

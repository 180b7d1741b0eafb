"""Which program wrote a state dict: recognised by marks that only its keys have."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from swin_mmdet.checkpoint.canonical import CANONICAL
from swin_mmdet.checkpoint.from_mmdet import MMDET, MMPRETRAIN_V2
from swin_mmdet.checkpoint.from_official import OFFICIAL
from swin_mmdet.checkpoint.from_timm import TIMM, TIMM_FEATURES
from swin_mmdet.checkpoint.from_torchvision import TORCHVISION
from swin_mmdet.checkpoint.from_transformers import TRANSFORMERS
from swin_mmdet.checkpoint.layout import Layout


@dataclass(frozen=True)
class CheckpointFormat:
    """A source: its name, its layout, and a pattern of a key that tells it from others of the same layout.

    `mark` is searched in the keys as the file has them, `{prefix}` standing for the backbone's; the first format of a
    layout whose mark is found counts, so that the last one of each layout needs none.
    """

    name: str
    layout: Layout
    mark: str = ''


FORMATS = (
    CheckpointFormat('swin_mmdet', CANONICAL),
    CheckpointFormat('moby', OFFICIAL, r'(^|\.)encoder_k\.'),
    CheckpointFormat('simmim', OFFICIAL, r'(^|\.)(encoder\.mask_token$|decoder\.0\.)'),
    CheckpointFormat('detectron2', OFFICIAL, r'(^|\.)bottom_up\.'),
    CheckpointFormat('microsoft', OFFICIAL, r'^{prefix}(norm|head)\.'),
    CheckpointFormat('official', OFFICIAL),
    CheckpointFormat('mmpretrain', MMDET, r'(^|\.)head\.fc\.'),
    CheckpointFormat('mmdet', MMDET),
    CheckpointFormat('mmpretrain', MMPRETRAIN_V2),
    CheckpointFormat('timm', TIMM),
    CheckpointFormat('timm_features', TIMM_FEATURES),
    CheckpointFormat('torchvision', TORCHVISION),
    CheckpointFormat('transformers', TRANSFORMERS),
)

ANCHORS = tuple(dict.fromkeys(item.layout.anchor for item in FORMATS))
ANCHOR = re.compile(r'^(|.*\.)(?:' + '|'.join(map(re.escape, ANCHORS)) + ')$')

# of two backbones in one file: the part of the prefix that names the wanted one, the other's, and why
TWINS = (
    ('encoder.', 'encoder_k.', 'the online encoder of a contrastive pre-training'),
    ('teacher.', 'student.', 'the teacher, which is what such programs evaluate'),
)
# relatives of Swin that share its names
REFUSED = (
    (r'\.attn\.meta_mlp\.', "timm's SwinV2-CR, which is another architecture"),
    (r'\.norm2\.running_mean$', 'a Swin with BatchNorm in its blocks (an option of MoBY)'),
    (r'quantizer\.|\._amax$', 'a quantised Swin; convert the weights it was made from'),
    (r'\.mlp\.(_moe_layer|experts)\.', 'a Swin-MoE'),
    (r'\.spatial_mlp\.', 'a Swin-MLP'),
)


@dataclass(frozen=True)
class Detection:
    """What `detect_format` found.

    Attributes:
        format: the source and its layout.
        version: 1 or 2, of the architecture (arXiv 2103.14030, 2111.09883).
        prefix: of the backbone's keys.
        reason: the marks that decided, in words.
    """

    format: CheckpointFormat
    version: int
    prefix: str
    reason: str


def detect_format(state_dict: Mapping[str, Tensor], prefix: str | None = None) -> Detection:
    """Name the source of a state dict.

    Args:
        state_dict: tensors by key, as a file has them, with or without a detector around the backbone.
        prefix: what the backbone's keys start with; only needed where a file holds several backbones.

    Raises:
        ValueError: no backbone, several, a relative of Swin, or the marks of no format or of more than one; with the
            keys that were seen.
    """
    prefix, choice = _backbone_prefix(state_dict, prefix)
    keys = [key.removeprefix(prefix) for key in state_dict if key.startswith(prefix)]
    for pattern, what in REFUSED:
        hit = next((key for key in keys if re.search(pattern, key)), None)
        if hit is not None:
            raise ValueError(f'this is {what}: it has the key {prefix + hit!r}')
    found = {}
    for candidate in FORMATS:
        layout = candidate.layout
        hit = _find(layout.mark, keys)
        if layout.name in found or hit is None or (layout.unless and _find(layout.unless, keys)):
            continue
        reason = f'it has the key {prefix + hit!r}'
        if candidate.mark:
            source_hit = _find(candidate.mark.replace('{prefix}', re.escape(prefix)), state_dict)
            if source_hit is None:
                continue
            reason += f' and {source_hit!r}'
        found[layout.name] = candidate, reason + choice
    if len(found) != 1:
        names = ' and '.join(f'{item.name} ({reason})' for item, reason in found.values()) or 'no known Swin format'
        known = ', '.join(dict.fromkeys(item.name for item in FORMATS))
        raise ValueError(f'the keys look like {names}; readable are: {known}. First keys: {_sample(keys)}')
    ((chosen, reason),) = found.values()
    embedding = state_dict.get(prefix + chosen.layout.anchor)
    if embedding is None:
        raise ValueError(
            f'the keys look like {chosen.name} ({reason}), but {prefix + chosen.layout.anchor!r} is missing'
        )
    if embedding.dim() != 4:
        raise ValueError(
            f'{prefix + chosen.layout.anchor!r} has the shape {list(embedding.shape)}: this is no Swin for images'
        )
    return Detection(chosen, 2 if _find(r'\.logit_scale$', keys) else 1, prefix, reason)


def backbone_prefixes(state_dict: Iterable[str]) -> list[str]:
    """What the keys of each Swin backbone begin with, sorted; of whatever format."""
    return sorted({match[1] for key in state_dict if (match := ANCHOR.match(key))})


def _backbone_prefix(state_dict: Mapping[str, Tensor], wanted: str | None) -> tuple[str, str]:
    """The prefix of the backbone's keys, and words on the choice where there was one."""
    prefixes = backbone_prefixes(state_dict)
    if not prefixes:
        raise ValueError(
            f'no Swin backbone found: no key ends in {" or ".join(ANCHORS)}. First keys: {_sample(state_dict)}'
        )
    if wanted is not None:
        chosen = [item for item in prefixes if item.startswith(wanted)]
        if not chosen:
            raise ValueError(f'no Swin backbone under the prefix {wanted!r}; there are: {prefixes}')
        prefixes = chosen
        if len(prefixes) == 1:
            return prefixes[0], ''
    if len(prefixes) == 2:
        for one, other, why in TWINS:
            for first, second in (prefixes, prefixes[::-1]):
                if one in first and first.replace(one, other) == second:
                    return first, f'; of {first!r} and {second!r} the first is taken: {why}'
    if len(prefixes) == 1:
        for one, other, _ in TWINS:
            twin = prefixes[0].replace(other, one)
            if twin != prefixes[0] and any(key.startswith(twin) for key in state_dict):
                raise ValueError(
                    f'the backbone under {twin!r} has no patch embedding, only the one under {prefixes[0]!r} has; '
                    f'to take that one, name {prefixes[0]!r} as prefix'
                )
    if len(prefixes) > 1:
        raise ValueError(f'more than one backbone found, under the prefixes {prefixes}; name one of them as prefix')
    return prefixes[0], ''


def _find(pattern: str, keys: Iterable[str]) -> str | None:
    return next((key for key in keys if re.search(pattern, key)), None)


def _sample(keys: Iterable[str]) -> list[str]:
    return sorted(keys)[:5]

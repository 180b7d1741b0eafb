"""A state dict of any known format to the canonical layout and back."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from swin_mmdet.checkpoint.formats import Detection, detect_format
from swin_mmdet.checkpoint.layout import Layout, StateDict
from swin_mmdet.checkpoint.pretrained_window import pretrained_windows

CLASSIFIER = 'head.'


@dataclass(frozen=True)
class CanonicalWeights:
    """A state dict taken apart.

    Attributes:
        backbone: canonical keys; of a classifier also its `norm.` and `head.`.
        rest: what stands outside the backbone, such as a detector's heads, as the file has it.
        dropped: keys of the file that no model loads, with the reason.
        detection: the source.
        pretrained_windows: of a SwinV2 by stage, where the file says them.
    """

    backbone: StateDict
    rest: StateDict
    dropped: dict[str, str]
    detection: Detection
    pretrained_windows: dict[int, int]


def to_canonical(state_dict: Mapping[str, Tensor], prefix: str | None = None) -> CanonicalWeights:
    """Recognise a state dict and take it apart; see `detect_format` for the arguments and errors."""
    detection = detect_format(state_dict, prefix)
    prefix, layout = detection.prefix, detection.format.layout
    outside = _keys_outside(state_dict, prefix, layout)
    inside = {
        outside.get(key) or key.removeprefix(prefix): value
        for key, value in state_dict.items()
        if key in outside or key.startswith(prefix)
    }
    head = {
        CLASSIFIER + key.removeprefix(layout.classifier): inside.pop(key)
        for key in list(inside)
        if key.startswith(layout.classifier)
    }
    backbone, dropped = layout.read(inside)
    rest = {key: value for key, value in state_dict.items() if key not in outside and not key.startswith(prefix)}
    return CanonicalWeights(
        backbone | head,
        rest,
        {prefix + key: reason for key, reason in dropped.items()},
        detection,
        pretrained_windows({layout.our_key(key): inside[key] for key in dropped}),
    )


def from_canonical(backbone: Mapping[str, Tensor], layout: Layout, prefix: str = '') -> StateDict:
    """The weights under another layout's keys, a classifier's layer at the root."""
    inside = {key: value for key, value in backbone.items() if not key.startswith(CLASSIFIER)}
    head = {
        layout.classifier + key.removeprefix(CLASSIFIER): value
        for key, value in backbone.items()
        if key.startswith(CLASSIFIER)
    }
    return {prefix + key: value for key, value in layout.write(inside).items()} | head


def _keys_outside(state_dict: Mapping[str, Tensor], prefix: str, layout: Layout) -> dict[str, str]:
    """The keys of the backbone that stand further out than its prefix -> what they would be inside."""
    found = {}
    parts = prefix.split('.')[:-1]
    for depth in range(len(parts)):
        outer = ''.join(part + '.' for part in parts[:depth])
        classifier = {layout.classifier + name for name in ('weight', 'bias')}
        for key in state_dict:
            name = key.removeprefix(outer)
            if key.startswith(outer) and (name in classifier or (layout.beside and name.startswith(layout.beside))):
                found[key] = name
    return found

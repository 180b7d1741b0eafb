"""Which Swin backbones a model has, and which of a file's each of them takes: student and teacher, two streams, ..."""

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from swin_mmdet.checkpoint.formats import Detection, backbone_prefixes, detect_format
from swin_mmdet.checkpoint.layout import StateDict
from swin_mmdet.checkpoint.translate import CanonicalWeights, to_canonical

BACKBONE = 'backbone'


def backbones_of(wanted: Mapping[str, Tensor]) -> list[Detection]:
    """Every Swin backbone in a model's state dict that is of a known layout, ours or mmdet's."""
    found = []
    for prefix in backbone_prefixes(wanted):
        try:
            found.append(detect_format(wanted, prefix))
        except ValueError:  # a relative of Swin
            continue
    return found


def detectors_of(places: list[Detection]) -> dict[str, list[Detection]]:
    """What the keys of each detector in a model begin with -> its backbones."""
    found: dict[str, list[Detection]] = {}
    for place in places:
        parts = place.prefix.split('.')[:-1]
        depth = next((index for index, part in enumerate(parts) if BACKBONE in part), 0)
        found.setdefault(''.join(part + '.' for part in parts[:depth]), []).append(place)
    return found


def fits_as_it_is(state_dict: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    """Whether every weight of the model is there under its own name, in its own shape."""
    return all(key in state_dict and state_dict[key].shape == value.shape for key, value in wanted.items())


def match_backbones(
    state_dict: StateDict, places: list[Detection], prefix: str | None
) -> dict[str, CanonicalWeights]:
    """What each of a model's backbones takes from a file, by the model's prefix.

    Its own where the file has all of them under these prefixes, whatever stands before them (`module.`); else the one
    that the file has, or the one under `prefix`.

    Raises:
        ValueError: the file has none, or several others; as `to_canonical`.
    """
    in_file = backbone_prefixes(state_dict)
    ends = [item.removesuffix(places[0].prefix) for item in in_file if item.endswith(places[0].prefix)]
    outer = [end for end in ends if all(end + place.prefix in in_file for place in places)]
    if prefix is not None or not outer:
        found = _without_other_backbones(to_canonical(state_dict, prefix), in_file)
        return {place.prefix: found for place in places}
    return {
        place.prefix: _without_other_backbones(to_canonical(state_dict, outer[0] + place.prefix), in_file)
        for place in places
    }


def _without_other_backbones(found: CanonicalWeights, in_file: list[str]) -> CanonicalWeights:
    others = tuple(item for item in in_file if item != found.detection.prefix)
    return replace(found, rest={key: value for key, value in found.rest.items() if not key.startswith(others)})

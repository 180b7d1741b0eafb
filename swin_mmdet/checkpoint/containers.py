"""What a checkpoint holds: which entries are the weights, averaged or raw, and what it says about its training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from swin_mmdet.checkpoint.layout import StateDict

# where programs keep their weights: mmengine, mmcv, timm, Lightning; Microsoft, detectron2, DETR; deepspeed
WRAPPERS = ('state_dict', 'model', 'module')
# and an average of them beside: timm and Microsoft, ConvNeXt, DINO, detrex; for `ema_state_dict` see `_options`
AVERAGED_WRAPPERS = ('state_dict_ema', 'model_ema', 'ema_model', 'ema_state', 'ema_state_dict')
ROLES = ('student', 'teacher')
KIND = {True: 'averaged', False: 'raw'}


@dataclass(frozen=True)
class Weights:
    """The chosen tensors, where they were (in words), whether they are an average, whether the file holds both."""

    state_dict: StateDict
    place: str
    averaged: bool
    has_raw_and_averaged: bool


def choose_weights(checkpoint: object, averaged: bool) -> Weights:
    """The weights of a loaded checkpoint.

    Args:
        checkpoint: what the file held; tensors stay as they are, arrays of numbers become tensors.
        averaged: which to take if there are averaged and raw ones.

    Raises:
        ValueError: no tensors by key; with the entries that were seen, as the end of a sentence about the file.
    """
    options = _options(checkpoint) if isinstance(checkpoint, Mapping) else {}
    if not options:
        seen = [str(key) for key in checkpoint][:5] if isinstance(checkpoint, Mapping) else type(checkpoint).__name__
        raise ValueError(f'holds no weights: expected tensors by key, at the top or under {WRAPPERS}, got {seen}')
    taken = averaged if averaged in options else not averaged
    place, state_dict = options[taken]
    if len(options) == 2:
        place = f'{place} ({KIND[taken]}; the {KIND[not taken]} ones are {options[not taken][0] or "at the top"})'
    elif taken:
        place = f'{place} (averaged)'
    return Weights(state_dict, place.strip(), taken, len(options) == 2)


def _options(checkpoint: Mapping) -> dict[bool, tuple[str, StateDict]]:
    """Averaged or not -> where such weights are and the tensors."""
    raw = _find(checkpoint)
    beside = [name for name in AVERAGED_WRAPPERS if isinstance(checkpoint.get(name), Mapping)]
    averaged = next(filter(None, (_find(checkpoint[name], (name,)) for name in beside)), None)
    if averaged is None:
        return {} if raw is None else _untangle_twins(*raw, checkpoint.get('meta'))
    if raw is None or not raw[0]:  # loose tensors beside a wrapper, such as a best loss, are no model
        return {True: averaged}
    place, tensors = averaged
    if 'steps' in tensors:
        # mmengine's averaged model counts its steps. EMAHook.before_save_checkpoint puts the averaged values into
        # `state_dict`, which is what other programs shall load, and the raw ones into `ema_state_dict` as `module.*`
        swapped = {key.removeprefix('module.'): value for key, value in tensors.items() if key.startswith('module.')}
        return {True: raw, False: (place, swapped)}
    return {True: averaged, False: raw}


def _untangle_twins(place: str, tensors: StateDict, meta: object) -> dict[bool, tuple[str, StateDict]]:
    """Separate the twins of mmcv 1.x, whose EMAHook keeps a buffer `ema_neck_conv_weight` for `neck.conv.weight`.

    It swaps the values of both after an epoch, before anything is evaluated or saved: the averaged ones have the
    plain names. A runner that counts iterations has no such moment, and the averaged ones stay in the buffers.
    """
    twins = {key: twin for key in tensors if (twin := 'ema_' + key.replace('.', '_')) in tensors}
    if not twins:
        return {False: (place, tensors)}
    buffers = set(twins.values())
    plain = {key: value for key, value in tensors.items() if key not in buffers}
    other = {key: tensors[twins[key]] if key in twins else value for key, value in plain.items()}
    config = meta.get('config') if isinstance(meta, Mapping) else None
    swapped = 'IterBasedRunner' not in str(config)
    return {swapped: (place, plain), not swapped: (f'{place} with names ema_*'.strip(), other)}


def _find(mapping: Mapping, path: tuple[str, ...] = ()) -> tuple[str, StateDict] | None:
    """The tensors inside all wrappers, and where that is; those of teacher and student together."""
    if len(path) < 4:
        for name in WRAPPERS:
            inner = mapping.get(name)
            if isinstance(inner, Mapping) and (found := _find(inner, (*path, name))):
                return found
    place = f'under {", ".join(map(repr, path))}' if path else ''
    roles = [role for role in ROLES if isinstance(mapping.get(role), Mapping)]
    if roles and not path:
        place = f'under {" and ".join(map(repr, roles))}'
        mapping = {f'{role}.{key}': value for role in roles for key, value in mapping[role].items()}
    tensors = {key: _tensor(value) for key, value in mapping.items() if isinstance(key, str) and _is_weight(value)}
    if not tensors:
        return None
    groups = [key for key, value in mapping.items() if _holds_weights(value)]
    if place and groups:
        place += f' (left out, as no tensors but groups of them: {", ".join(map(str, groups[:5]))})'
    return place, tensors


def _is_weight(value: object) -> bool:
    return isinstance(value, Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in 'biufc')


def _holds_weights(value: object) -> bool:
    values = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return any(_is_weight(item) for item in values)


def _tensor(value: Tensor | np.ndarray) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach() if value.requires_grad else value
    native = np.asarray(value).astype(value.dtype.newbyteorder('='), copy=False)
    return torch.from_numpy(np.require(native, requirements=['C', 'W']))


def describe_training(checkpoint: object) -> dict[str, object]:
    """What a checkpoint says in plain values: the loose ones at its top, those of `meta`, and the dataset's classes."""
    if not isinstance(checkpoint, Mapping):
        return {}
    loose = {key: value for key, value in checkpoint.items() if isinstance(value, (str, int, float))}
    inner = checkpoint.get('meta')
    described = _plain_dict(loose) | (_plain_dict(inner) if isinstance(inner, Mapping) else {})
    described = {key.strip('_'): value for key, value in described.items()}
    dataset = described.get('dataset_meta')
    # mmdet 3 writes the classes of its dataset's metainfo, in its first versions in capitals, mmdet 2 its model's
    for holder, name in ((dataset, 'classes'), (dataset, 'CLASSES'), (described, 'CLASSES')):
        if isinstance(holder, dict) and holder.get(name):
            described['classes'] = [holder[name]] if isinstance(holder[name], str) else holder[name]
            break
    return described


def _plain_dict(values: Mapping) -> dict:
    plain = _plain(values, {})
    assert isinstance(plain, dict)
    return plain


def _plain(value: object, done: dict[int, object], depth: int = 0) -> object:
    """The value in plain types; None for what has no such form, or is a text of many lines (a config), and left out.

    Args:
        done: results by id: a file of a few bytes may hold a list of lists of lists ... of one list.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (str, int, float)):
        return None if isinstance(value, str) and '\n' in value else value
    if not isinstance(value, (Mapping, list, tuple)) or depth > 10:
        return None
    if id(value) not in done:
        done[id(value)] = None  # what it is for itself, if it holds itself
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        plain = {str(key): result for key, item in items if (result := _plain(item, done, depth + 1)) is not None}
        done[id(value)] = plain if isinstance(value, Mapping) else list(plain.values())
    return done[id(value)]

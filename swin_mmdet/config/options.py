"""`KEY=VALUE` settings put into a config, by dots through dicts and lists, each checked before it is made."""

from collections.abc import Iterator, Mapping

from mmengine.config import Config, ConfigDict

from swin_mmdet.config.check import misspelled_top_key
from swin_mmdet.config.nearest import CERTAIN, meant, nearest
from swin_mmdet.config.nodes import keyed_nodes, type_name
from swin_mmdet.config.places import top_keys
from swin_mmdet.errors import UserError, gathered, refuse

# dicts whose keys are names of the user's own: parts of parameters' names
FREE = ('custom_keys',)
DELETE, EMPTY = '_delete_', object()


def merge_options(cfg: Config, options: Mapping[str, object]) -> list[str]:
    """Set each key of the options in a config; a number counts the entries of a list, from its end if it is negative.

    Returns:
        What is worth a warning: keys at the top that nothing reads.

    Raises:
        UserError: a sentence for each key that cannot be set, with what stands there, and for each new key that is
            nearly a known one; the other options are set.
    """
    warnings: list[str] = []
    mistakes: list[str] = []
    # `KEY._delete_=True` empties a dict before the other options fill it
    for option, value in sorted(options.items(), key=lambda item: not item[0].endswith(f'.{DELETE}')):
        names = option.split('.')
        if names[-1] == DELETE and value:
            names, value = names[:-1], EMPTY
        with gathered(mistakes):
            if names[0] not in top_keys():
                warnings += _doubts_at_the_top(cfg, option, names[0])
            new = _with(cfg._cfg_dict, names, value, option, '')
            object.__setattr__(cfg, '_cfg_dict', new)
    refuse(mistakes)
    return warnings


def _doubts_at_the_top(cfg: Config, option: str, name: str) -> Iterator[str]:
    if near := misspelled_top_key(name) if name not in cfg else None:
        raise UserError(f'{option}: the config has no {name}; did you mean {near}?')
    if name in cfg:
        yield (f'{option} changes a variable of the config file, which was read before: settings that were made from '
               f'{name} stay as they are; set them by their own keys')  # fmt: skip
    else:
        places = [f'{key}.{name}' for key, node in keyed_nodes(cfg) if key and name in node]
        hint = f'; did you mean {" or ".join(places[:3])}?' if places else ''
        yield f'{option}: nothing reads this key{hint}'


def _with(node: object, names: list[str], value: object, option: str, place: str) -> object:
    """A copy of a part of a config with the value in it; what is on the way is copied, as parts may share it."""
    if value is EMPTY and not names:
        return ConfigDict()
    if not names:
        return Config._merge_a_into_b(value, node, True) if _both_dicts(node, value) else value
    name, *rest = names
    below = f'{place}.{name}' if place else name
    if node is None:
        node = ConfigDict()
    if isinstance(node, list | tuple):
        index = _index(node, name, option, place)
        items = list(node)
        items[index] = _with(items[index], rest, value, option, below)
        return type(node)(items)
    if not isinstance(node, dict):
        raise UserError(f'{option}: {place} is {node!r}, so nothing can be set inside it')
    if name not in node:
        _check_new(node, name, option, place)
    new = node.copy()
    new[name] = _with(node.get(name), rest, value, option, below)
    return new


def _both_dicts(node: object, value: object) -> bool:
    return isinstance(node, dict) and isinstance(value, dict)


def _index(items: list | tuple, name: str, option: str, place: str) -> int:
    try:
        index = int(name)
        items[index]
    except (ValueError, IndexError):
        entries = ', '.join(f'{number} {_entry(item)}' for number, item in enumerate(items)) or 'no entries'
        raise UserError(f'{option}: {place} is a list, whose entries are counted from 0: {entries}') from None
    return index


def _entry(item: object) -> str:
    return type_name(item) if isinstance(item, dict) and 'type' in item else repr(item)[:40]


def _check_new(node: dict, name: str, option: str, place: str) -> None:
    """A key that is not there; inside a dict with a type the arguments of the type are checked later."""
    if name.lstrip('-').isdigit():
        raise UserError(f'{option}: {place} is no list but a dict of {", ".join(map(str, node)) or "nothing"}')
    if 'type' in node or not place or place.rpartition('.')[2] in FREE:
        return
    if nearest(name, node, CERTAIN):
        raise UserError(f'{option}: {place} has no {name}{meant(name, node)}')

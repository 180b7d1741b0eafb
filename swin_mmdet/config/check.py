"""Find names in a config that nothing reads or nothing has: misspelled keys, arguments and types, before any work."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec

from mmengine.config import Config
from mmengine.config.lazy import LazyAttr, LazyObject

from swin_mmdet.backbone_channels import KEY, KNOWN, WORD, channels_of, fill_in
from swin_mmdet.config.arguments import accepted_arguments
from swin_mmdet.config.nearest import CERTAIN, meant, nearest
from swin_mmdet.config.nodes import children, keyed_nodes, kind_name, type_name
from swin_mmdet.config.places import DEFAULT_HOOKS, PARAMWISE, Place, top_keys, top_places
from swin_mmdet.config.registries import every_registry, find, names, scope_of
from swin_mmdet.errors import UserError, refuse

# keys of dicts whose `type` no registry knows: functions of mmcv.ops, another library's classes
NOT_BUILT = ('nms', 'nms_cfg', 'roi_layer')
# types whose arguments are dicts of another library
OPAQUE = ('Albu',)
# what configs call the parts of their `tta_pipeline` and data sets; a dumped config has them, and nothing reads them
VARIABLES = ('train_pipeline', 'val_pipeline', 'test_pipeline')
# keys of any dict that is built
ALWAYS = ('type', '_scope_', '_delete_')
LISTED = 12
# parts of a model that mmdet's classes build, whatever is in them
BUILT = re.compile(
    r'(?:.*_)?(?:backbone|neck|head|data_preprocessor|assigner|sampler|bbox_coder|anchor_generator|detector)'
    r'|loss.*|model'
)
# necks of mmdet that take all maps of a backbone, with a number of channels for each
READERS = ('FPN', 'PAFPN', 'FPN_CARAFE', 'NASFPN', 'ChannelMapper', 'CSPNeXtPAFPN', 'YOLOXPAFPN')
# classes of these do with the dicts inside theirs what `places` says; any other may take what it likes out of them
FRAMEWORK = ('mmengine', 'mmdet', 'swin_mmdet', 'mmcv', 'torch')
# layers: their builders take more than they do
LAYERS = ('mmcv', 'torch')


def check_names(cfg: Config) -> None:
    """Refuse a config with names that nobody knows.

    Types are looked up as mmengine will, and arguments in the signatures of their classes; a class that may take any is
    believed. At the top, where files have variables of their own, a key is refused that is nearly one of the runner's
    and that its file does not use.

    Raises:
        UserError: a sentence for each, with the nearest known name.
    """
    refuse(list(find_mistakes(cfg)))


def find_mistakes(cfg: Config) -> Iterator[str]:
    """A sentence for each name that nobody knows."""
    scope = cfg.get('default_scope') or 'mmdet'
    for key, value in dict.items(cfg._cfg_dict):
        if isinstance(value, LazyObject | LazyAttr):
            continue  # an import of a Python-style config
        if (near := misspelled_top_key(key)) and not _is_variable(cfg, key):
            yield f'{key}: nothing reads this key; did you mean {near}?'
    for key, place in top_places().items():
        yield from _walk(_with_default_type(key, cfg.get(key)), key, place, scope)
    yield from _unknown_channels(cfg.get('model'), scope)
    yield from _unknown_default_hooks(cfg.get('default_hooks') or {})
    yield from _unknown_named(cfg, scope)


def _unknown_channels(model: object, scope: str) -> Iterator[str]:
    for key, node in keyed_nodes(model, 'model'):
        if isinstance(node.get(KEY), str) and node[KEY] != WORD:
            yield f'{key}.{KEY}={node[KEY]!r}: it takes numbers of channels, or {WORD!r}'
    try:
        fill_in(model)
    except UserError as error:
        # of a name that no class has, that is said
        backbone = model['backbone'] if isinstance(model, dict) else {}
        if find(backbone.get('type'), ('MODELS',), backbone.get('_scope_') or scope) is not None:
            yield f'model: {error}'
    yield from _other_channels(model, scope)


def _other_channels(model: object, scope: str) -> Iterator[str]:
    """Necks with the numbers of another backbone."""
    for key, node in keyed_nodes(model, 'model'):
        neck = node.get('neck')
        first, name = (neck[0], 'neck.0') if isinstance(neck, list | tuple) and neck else (neck or {}, 'neck')
        if type_name(first) in READERS and isinstance(first.get(KEY), list | tuple):
            channels = _channels_of_maps(node.get('backbone'), scope)
            if channels is not None and list(first[KEY]) != channels:
                yield (
                    f"{key}.{name}.{KEY}={list(first[KEY])}: the backbone's maps have {channels} channels; "
                    f'{KEY}={WORD!r} takes those'
                )


def _channels_of_maps(backbone: object, scope: str) -> list[int] | None:
    """Of a Swin of ours or mmdet's: those of other packages with the name count otherwise."""
    if not isinstance(backbone, dict) or kind_name(backbone.get('type')) not in KNOWN:
        return None
    found = find(backbone['type'], ('MODELS',), backbone.get('_scope_') or scope)
    if _package(found) not in ('mmdet', 'swin_mmdet'):
        return None
    with suppress(UserError):  # of another mistake, which is said when the backbone is built
        return channels_of(backbone)
    return None


def misspelled_top_key(key: str) -> str | None:
    """The key of the runner that one at the top of a config nearly is."""
    known = top_keys()
    near = None if key in known or key in VARIABLES else nearest(key, known, CERTAIN)
    # `val_evaluator_abs` is a name beside val_evaluator, no slip of it
    return None if near is None or (near in key and len(key) > len(near) + 1) else near


def _is_variable(cfg: Config, key: str) -> bool:
    """Whether the files of a config do more with a name than to set it."""
    uses = re.findall(rf'^.*\b{re.escape(key)}\b.*$', cfg.text or '', re.MULTILINE)
    return any(not re.match(rf'{re.escape(key)}\s*=(?!=)', line) for line in uses)


def _with_default_type(key: str, value: object) -> object:
    """A loop with the type that mmengine's runner gives it."""
    if not key.endswith('_cfg') or not isinstance(value, dict) or 'type' in value:
        return value
    if key == 'train_cfg':
        rest = {name: item for name, item in value.items() if name != 'by_epoch'}
        return {'type': 'EpochBasedTrainLoop' if value.get('by_epoch', True) else 'IterBasedTrainLoop', **rest}
    return {'type': {'val_cfg': 'ValLoop', 'test_cfg': 'TestLoop'}[key], **value} if key != 'env_cfg' else value


def _unknown_default_hooks(hooks: dict) -> Iterator[str]:
    """A hook without a type changes one that the runner has, by its name."""
    for name, hook in hooks.items():
        if name not in DEFAULT_HOOKS and isinstance(hook, dict) and 'type' not in hook:
            yield f'default_hooks.{name}: no hook has this name' + meant(name, DEFAULT_HOOKS, ', and it has no type')


def _unknown_named(cfg: Config, scope: str) -> Iterator[str]:
    """Types that are given as text, not in a dict of their own."""
    wrapper = cfg.get('optim_wrapper') or {}
    for key, kind, registry in (
        ('runner_type', cfg.get('runner_type'), 'RUNNERS'),
        ('optim_wrapper.constructor', wrapper.get('constructor'), 'OPTIM_WRAPPER_CONSTRUCTORS'),
    ):
        if kind is not None and find(kind, (registry,), scope) is None:
            yield _unknown_type(key, kind, (registry,), scope)
    known = PARAMWISE.get(kind_name(wrapper.get('constructor', 'DefaultOptimWrapperConstructor')))
    yield from _unknown_keys(wrapper.get('paramwise_cfg') or {}, 'optim_wrapper.paramwise_cfg', known or ())


def _walk(node: object, key: str, place: Place, scope: str, inside_foreign: bool = False) -> Iterator[str]:
    """Mistakes in a part of a config; `inside_foreign` if the class around it is of no framework that we know."""
    if not isinstance(node, dict):
        for index, child in children(node):
            yield from _walk(child, f'{key}.{index}', place, scope, inside_foreign)
        return
    scope = node.get('_scope_') or scope
    kind = node.get('type', place.default)
    if kind is None:
        yield from _unknown_keys(node, key, place.known)
    elif place.registries and _last(key) not in NOT_BUILT:
        found = find(kind, place.registries, scope)
        if found is not None:
            yield from _unknown_arguments(node, key, found, place, inside_foreign)
            inside_foreign = _package(found) not in FRAMEWORK
        elif find(kind, every_registry(), scope) is None and _must_be_known(key, kind, place, scope):
            yield _unknown_type(f'{key}.type', kind, place.registries, scope)
    if kind_name(kind) in OPAQUE:
        return
    below = replace(place, default=None, known=())
    for name, child in children(node):
        yield from _walk(child, f'{key}.{name}', place.inside.get(name, below), scope, inside_foreign)


def _last(key: str) -> str:
    """The last name of a key, without the number of an entry."""
    return next(name for name in reversed(key.split('.')) if not name.isdigit())


def _package(kind: object) -> str:
    return getattr(kind, '__module__', '').partition('.')[0]


def _must_be_known(key: str, kind: object, place: Place, scope: str) -> bool:
    """Inside a model other parts have types of their own, as mmdet's FPG has 'conv': there a slip is nearly a class."""
    if not place.lenient or BUILT.fullmatch(_last(key)):
        return True
    name = kind_name(kind)
    return name[:1].isupper() and nearest(name, names(place.registries, scope), CERTAIN) is not None


def _unknown_keys(node: dict, key: str, known: tuple[str, ...]) -> Iterator[str]:
    if known:
        for name in node:
            if name not in known and name not in ALWAYS:
                yield f'{key}.{name}: nothing reads this key' + meant(name, known, f'; there are {_some(known)}')


def _unknown_arguments(node: dict, key: str, found: object, place: Place, inside_foreign: bool) -> Iterator[str]:
    accepted = accepted_arguments(found)
    if accepted is None:
        return
    accepted = accepted | set(place.arguments)
    must_be_near = inside_foreign or (_package(found) in LAYERS and place.lenient)
    for name in node:
        if name in accepted or name in ALWAYS or (must_be_near and not nearest(name, accepted, CERTAIN)):
            continue
        takes = meant(name, accepted, f'; it takes {_some(sorted(accepted))}')
        yield f'{key}.{name}: {kind_name(found)} has no argument {name}{takes}'


def _unknown_type(key: str, kind: object, registries: tuple[str, ...], scope: str) -> str:
    prefix = scope_of(kind) if isinstance(kind, str) else None
    package = str(kind).partition('.')[0]
    if package != str(kind) and find_spec(package) is None:
        return f'{key}: {kind} needs the package {package}, which is not installed'
    known = {name: registry for registry in reversed(registries)
             for name in names((registry,), prefix or scope, prefixed=bool(prefix))}  # fmt: skip
    near = nearest(str(kind), known)
    noun = (known[near] if near else registries[0]).lower().rstrip('s').replace('_', ' ')
    remedy = f'did you mean {near}?' if near else 'import what registers it: custom_imports=dict(imports=[...])'
    return f'{key}: no {noun} is called {kind}; {remedy}'


def _some(known: tuple[str, ...] | list[str]) -> str:
    return ', '.join(known[:LISTED]) + (', ...' if len(known) > LISTED else '')

"""Registries of the scope `swin_mmdet`.

mmengine imports `{scope}.registry` by itself when it meets `type='swin_mmdet.X'`, so no config needs `custom_imports`.
The parents are mmengine's root registries, not mmdet's: `Registry.get` looks a foreign scope up among the direct
children of the root, so only a child of the root is found from every scope (mmengine, mmdet, mmpretrain, ...).
"""

from collections.abc import Callable
from typing import Any

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

import swin_mmdet.compat
import swin_mmdet.run_log  # noqa: F401  whatever is built from a config has its lines in the log of the run

SCOPE = 'swin_mmdet'

MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope=SCOPE,
    locations=['swin_mmdet.models', 'swin_mmdet.necks', 'swin_mmdet.detectors', 'swin_mmdet.recording']
    + ['swin_mmdet.reppoints_v2'],
)
METRICS = Registry('metric', parent=MMENGINE_METRICS, scope=SCOPE, locations=['swin_mmdet.evaluation'])
DATASETS = Registry('dataset', parent=MMENGINE_DATASETS, scope=SCOPE, locations=['swin_mmdet.datasets'])
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, scope=SCOPE, locations=['swin_mmdet.datasets.transforms']
)
VISUALIZERS = Registry(
    'visualizer', parent=MMENGINE_VISUALIZERS, scope=SCOPE, locations=['swin_mmdet.visualization']
)
HOOKS = Registry(
    'hook', parent=MMENGINE_HOOKS, scope=SCOPE, locations=['swin_mmdet.engine', 'swin_mmdet.recording']
)
RUNNERS = Registry(
    'runner', parent=MMENGINE_RUNNERS, scope=SCOPE, locations=['swin_mmdet.engine', 'swin_mmdet.engine.runner']
)
LOOPS = Registry('loop', parent=MMENGINE_LOOPS, scope=SCOPE, locations=['swin_mmdet.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optim wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope=SCOPE,
    locations=['swin_mmdet.engine'],
)


class BuildsOurs:
    """A registry's build function that takes our part where a config has the class, or its full name, of another's.

    Python-style configs of mmengine give `type` as a class, which no registry is asked for.
    """

    def __init__(self, build: Callable) -> None:
        self.build = build
        self.ours: dict[Callable, type] = {}

    def __call__(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        return self.build([self._of_ours(one) for one in cfg] if isinstance(cfg, list) else self._of_ours(cfg),
                          *args, **kwargs)  # fmt: skip

    def _of_ours(self, cfg: Any) -> Any:
        kind = cfg.get('type') if isinstance(cfg, dict) else None
        # a scope alone is the registries' matter
        if isinstance(kind, str) and kind.count('.') > 1:
            kind = get_object_from_string(kind)
        try:
            ours = None if kind is None else self.ours.get(kind)
        except TypeError:  # it cannot be hashed: the builder says what is wrong
            ours = None
        return cfg if ours is None else type(cfg)(cfg, type=ours)


def take_the_place(registry: Registry, part: type, name: str | None = None) -> type:
    """Make a part of ours what this registry gives for a name, and what is built for the class that had the name.

    Args:
        registry: of mmdet, with a class of that name.
        part: ours, which takes the arguments of that class.
        name: that of the part, if it is not said.
    """
    name = name or part.__name__
    # mmdet has registered a few of its classes with mmengine's registry
    theirs = registry.module_dict.get(name) or registry.root.module_dict[name]
    for one in (registry.root, *registry.root.children.values()):
        # children that come later take the function of the root
        if not isinstance(one.build_func, BuildsOurs):
            one.build_func = BuildsOurs(one.build_func)
        one.build_func.ours[theirs] = part
    registry.register_module(name=name, module=part, force=True)
    return part

"""Registries of the scope `swin_mmdet`.

mmengine imports `{scope}.registry` by itself when it meets `type='swin_mmdet.X'`, so no config needs `custom_imports`.
The parents are mmengine's root registries, not mmdet's: `Registry.get` looks a foreign scope up among the direct
children of the root, so only a child of the root is found from every scope (mmengine, mmdet, mmpretrain, ...).
"""

from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

import swin_mmdet.compat
import swin_mmdet.run_log  # noqa: F401  whatever is built from a config has its lines in the log of the run

SCOPE = 'swin_mmdet'

MODELS = Registry(
    'model',
    parent=MMENGINE_MODELS,
    scope=SCOPE,
    locations=['swin_mmdet.models', 'swin_mmdet.necks', 'swin_mmdet.detectors', 'swin_mmdet.reppoints_v2'],
)
METRICS = Registry('metric', parent=MMENGINE_METRICS, scope=SCOPE, locations=['swin_mmdet.evaluation'])
TRANSFORMS = Registry(
    'transform', parent=MMENGINE_TRANSFORMS, scope=SCOPE, locations=['swin_mmdet.datasets.transforms']
)
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope=SCOPE, locations=['swin_mmdet.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optim wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope=SCOPE,
    locations=['swin_mmdet.engine'],
)

"""Which keys a config has and which registry builds what stands there: mmengine's runner, and what our tools add."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

# read beside the arguments of the runner: by mmengine when it reads a file, by its runners, by mmdet's and our tools
ALSO_READ = (
    '_base_', '_delete_', '_scope_', 'custom_imports', 'env_variables', 'runner_type', 'model_wrapper_cfg', 'strategy',
    'sync_bn', 'find_unused_parameters', 'activation_checkpointing', 'efficient_conv_bn_eval', 'compile',
    'tta_model', 'tta_pipeline', 'frozen_parts',
)  # fmt: skip
RANDOMNESS = ('seed', 'diff_rank_seed', 'deterministic')
AUTO_SCALE_LR = ('enable', 'base_batch_size', 'rule')
ENVIRONMENT = ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit')
DEFAULT_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint', 'visualization')
# constructor of the optimizer's groups -> what it reads; those of others read more
_PARAMWISE = ('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'flat_decay_mult',
              'dwconv_decay_mult', 'dcn_offset_lr_mult', 'bypass_duplicate')  # fmt: skip
PARAMWISE = {
    'DefaultOptimWrapperConstructor': _PARAMWISE,
    'OptimWrapperConstructor': _PARAMWISE,
    'LayerDecayOptimWrapperConstructor': (*_PARAMWISE, 'layer_decay_rate'),
}


@dataclass(frozen=True)
class Place:
    """What may stand somewhere in a config.

    registries: those that build a dict with a `type` here.
    default: the type of a dict without one, if it has one here.
    arguments: names that a dict here takes beside the arguments of its type.
    known: all the names that a dict without a type takes here, () for any.
    lenient: a type may be known to something else than a registry.
    inside: key -> place, where it differs from this one.
    """

    registries: tuple[str, ...] = ()
    default: str | None = None
    arguments: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    lenient: bool = False
    inside: dict[str, 'Place'] = field(default_factory=dict)


ANYTHING = Place()
TRANSFORM = Place(('TRANSFORMS',))
DATASET = Place(('DATASETS',), inside={'pipeline': TRANSFORM})
SAMPLER, FUNCTION = Place(('DATA_SAMPLERS',)), Place(('FUNCTIONS',))
METRIC = Place(('METRICS', 'EVALUATOR'))
HOOK = Place(('HOOKS',), arguments=('priority',), inside={'switch_pipeline': TRANSFORM})
# `override` names a submodule; the last two our backbones read
INITIALIZER = Place(('WEIGHT_INITIALIZERS',), arguments=('name', 'strict', 'resize'))
# a layer's builder takes `requires_grad` out of a norm's
NORM = Place(('MODELS',), arguments=('requires_grad',), lenient=True)
# which DETR's heads take out of it
LOSS = Place(('MODELS',), arguments=('bg_cls_weight',), lenient=True)
MODEL = Place(
    ('MODELS', 'TASK_UTILS'), lenient=True, inside={'init_cfg': INITIALIZER, 'norm_cfg': NORM, 'loss_cls': LOSS}
)
OPTIMIZER = Place(('OPTIMIZERS',))


@cache
def top_places() -> dict[str, Place]:
    """Key -> what stands there."""
    loader = Place(known=loader_arguments(), inside={
        'dataset': DATASET, 'sampler': SAMPLER, 'batch_sampler': SAMPLER, 'collate_fn': FUNCTION,
        'worker_init_fn': FUNCTION,
    })  # fmt: skip
    optim = Place(('OPTIM_WRAPPERS',), 'OptimWrapper', arguments=('constructor', 'paramwise_cfg'),
                  inside={'optimizer': OPTIMIZER, 'paramwise_cfg': ANYTHING})  # fmt: skip
    visualizer = Place(('VISUALIZERS',), inside={'vis_backends': Place(('VISBACKENDS',))})
    loop = Place(('LOOPS',))
    return {
        'model': MODEL, 'tta_model': MODEL, 'data_preprocessor': MODEL,
        'train_dataloader': loader, 'val_dataloader': loader, 'test_dataloader': loader,
        'tta_pipeline': TRANSFORM,
        'train_cfg': loop, 'val_cfg': loop, 'test_cfg': loop,
        'val_evaluator': METRIC, 'test_evaluator': METRIC,
        'optim_wrapper': optim,
        'param_scheduler': Place(('PARAM_SCHEDULERS',), arguments=('convert_to_iter_based',)),
        'default_hooks': HOOK, 'custom_hooks': HOOK,
        'visualizer': visualizer,
        'log_processor': Place(('LOG_PROCESSORS',), 'LogProcessor'),
        'model_wrapper_cfg': Place(('MODEL_WRAPPERS',), 'MMDistributedDataParallel'),
        'randomness': Place(known=RANDOMNESS), 'auto_scale_lr': Place(known=AUTO_SCALE_LR),
        'env_cfg': Place(known=ENVIRONMENT, inside={'mp_cfg': ANYTHING, 'dist_cfg': ANYTHING}),
    }  # fmt: skip


def top_keys() -> frozenset[str]:
    """Every key at the top of a config that something reads."""
    return runner_arguments() | set(ALSO_READ) | set(top_places())


@cache
def runner_arguments() -> frozenset[str]:
    from mmengine.runner import Runner

    return frozenset(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'}


@cache
def loader_arguments() -> tuple[str, ...]:
    from torch.utils.data import DataLoader

    return (*_named(DataLoader.__init__), 'num_batch_per_epoch')


def _named(function: Callable) -> tuple[str, ...]:
    return tuple(name for name in inspect.signature(function).parameters if name != 'self')

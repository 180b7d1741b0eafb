"""Options of a training put into its config: precision, scaled learning rate, averaged weights, parts that stay."""

from mmengine.config import Config

from swin_mmdet.config import type_name
from swin_mmdet.config.rewrite import use_full_precision
from swin_mmdet.errors import UserError

DTYPES = {'bf16': 'bfloat16', 'fp16': 'float16'}


def use_amp(cfg: Config, dtype: str) -> None:
    """Mixed precision: 'auto', 'bf16', 'fp16' or 'off'."""
    wrapper = cfg.optim_wrapper
    if type_name(wrapper) not in ('', 'OptimWrapper', 'AmpOptimWrapper'):
        raise UserError(f'--amp works with OptimWrapper, the config has {type_name(wrapper)}')
    if dtype == 'off':
        use_full_precision(cfg)
        return
    wrapper.type = 'AmpOptimWrapper'
    wrapper.setdefault('loss_scale', 'dynamic')
    if dtype in DTYPES:
        wrapper.dtype = DTYPES[dtype]


def scale_learning_rate(cfg: Config, rule: str) -> None:
    """Let the runner scale it from the recipe's batch to that of the run, by a rule of `runner.SCALES`."""
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise UserError('--auto-scale-lr needs auto_scale_lr.base_batch_size in the config: the batch of its recipe')
    cfg.auto_scale_lr.update(enable=True, rule=rule)


def average_weights(cfg: Config, momentum: float) -> None:
    """Evaluate and save an exponential moving average of the weights."""
    if not 0 < momentum < 1:
        raise UserError(f'--ema {momentum}: the share of the new weights lies between 0 and 1')
    hooks = cfg.get('custom_hooks') or []
    if any(type_name(hook).endswith('EMAHook') for hook in hooks):
        raise UserError('--ema: the config has an EMAHook already')
    # follows the weights closely at first: an average of few steps would still be the initial weights
    hook = dict(type='swin_mmdet.EMAHook', ema_type='mmdet.ExpMomentumEMA', momentum=momentum, update_buffers=True)
    cfg.custom_hooks = [*hooks, hook]


def freeze_parts(cfg: Config, parts: list[str]) -> None:
    """Let the runner keep parts of the model as they are."""
    if 'runner_type' in cfg:
        raise UserError(f"--freeze works with mmengine's Runner, the config has runner_type={cfg.runner_type!r}")
    cfg.frozen_parts = parts

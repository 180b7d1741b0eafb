"""The learning rate of a config, with the rates in its schedule that are numbers and not shares of it."""

from collections.abc import Collection

from mmengine.config import Config

from swin_mmdet.config.changes import Changes, shown
from swin_mmdet.engine.schedules import scale_rates
from swin_mmdet.errors import UserError


def set_learning_rate(cfg: Config, rate: float, explicit: Collection[str] = ()) -> Changes:
    """Train with this rate, in place: multipliers of parts and layer-wise decay apply to it as to the config's own.

    Args:
        explicit: keys that the user set, which stay as they are.

    Raises:
        UserError: the config has no single rate.
    """
    wrapper, changes = cfg.get('optim_wrapper') or {}, Changes()
    optimizer = wrapper.get('optimizer') or {}
    old = optimizer.get('lr')
    if not old:
        raise UserError('--lr: the config has no optim_wrapper.optimizer.lr, set the rates of its optimizers in it')
    changes.set(optimizer, 'lr', rate, 'optim_wrapper.optimizer.lr')
    scale_rates(cfg.get('param_scheduler'), rate / old, explicit, changes)
    parts = (wrapper.get('paramwise_cfg') or {}).get('custom_keys') or {}
    for name, options in parts.items():
        if options.get('lr_mult', 1) != 1:
            changes.append(f'{name} trains at {shown(options["lr_mult"])} of it, {shown(options["lr_mult"] * rate)}')
    return changes

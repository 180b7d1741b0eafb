"""The recipe's batch on fewer GPUs: gradients of several iterations make one step of the optimizer."""

from mmengine.config import Config

from swin_mmdet.config import nodes, type_name
from swin_mmdet.errors import UserError

# counted in iterations where a scheduler is not `by_epoch`
SCHEDULER_COUNTS = ('begin', 'end', 'milestones', 'step_size', 'T_max', 'periods', 'total_steps')
# and where a loop or a hook counts iterations
LOOP_COUNTS = ('max_iters', 'val_interval', 'val_begin')


def accumulate(cfg: Config, wanted: str, processes: int = 1) -> list[str]:
    """Sum gradients over several iterations for one step of the optimizer; counts of iterations become as many steps.

    Args:
        wanted: 'auto' for the recipe's batch, or a number.
        processes: that train together.

    Returns:
        What to tell the user.

    Raises:
        UserError: not a number, a config that accumulates already, or no number of iterations makes the recipe's batch.
    """
    before = cfg.optim_wrapper.get('accumulative_counts', 1)
    if before != 1:
        raise UserError(f'--accumulate: the config accumulates already, optim_wrapper.accumulative_counts={before}')
    count = _fitting_count(cfg, processes) if wanted == 'auto' else _checked_count(wanted)
    cfg.optim_wrapper.accumulative_counts = count
    if count == 1:
        return []
    schedulers = [node for node in nodes(cfg.get('param_scheduler')) if node.get('by_epoch') is False]
    for scheduler in schedulers:
        _stretch(scheduler, SCHEDULER_COUNTS, count)
    if 'max_epochs' not in cfg.train_cfg:
        _stretch(cfg.train_cfg, LOOP_COUNTS, count)
        dynamic = cfg.train_cfg.get('dynamic_intervals')
        if dynamic:
            cfg.train_cfg.dynamic_intervals = [(begin * count, interval * count) for begin, interval in dynamic]
    for hook in nodes([cfg.get('default_hooks'), cfg.get('custom_hooks')]):
        if hook.get('by_epoch') is False:
            _stretch(hook, ('interval', 'save_begin'), count)
        if type_name(hook) == 'EMAHook':
            # mmengine's would average after every iteration
            hook['type'] = 'swin_mmdet.EMAHook'
    return [
        f'--accumulate: {count} iterations make one step of the optimizer; counts of iterations (warm-up, schedules, '
        f'length, intervals) are times {count}, counts of epochs stay'
    ]


def _fitting_count(cfg: Config, processes: int) -> int:
    base = cfg.get('auto_scale_lr', {}).get('base_batch_size')
    if base is None:
        raise UserError('--accumulate auto needs auto_scale_lr.base_batch_size in the config: the batch of its recipe')
    images = cfg.train_dataloader.batch_size
    step = processes * images
    if base % step:
        near = max(1, round(base / step))
        raise UserError(
            f"--accumulate auto: the recipe's batch of {base} is no multiple of {step} = {processes} processes x "
            f'{images} images; take a --batch-size of which it is, or '
            f'`--accumulate {near} --auto-scale-lr`: a batch of {near * step} with its learning rate'
        )
    return base // step


def _checked_count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise UserError(f'--accumulate {text}: give `auto` or a number of iterations, at least 1')
    return int(text)


def _stretch(node: dict, names: tuple[str, ...], count: int) -> None:
    for name in names:
        value = node.get(name)
        if isinstance(value, (list, tuple)):
            node[name] = [one * count for one in value]
        elif isinstance(value, int):
            node[name] = value * count

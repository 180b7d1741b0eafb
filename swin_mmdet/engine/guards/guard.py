"""The config of any training with every guard of this room: for our runner, so for mmdet's own configs as well."""

from mmengine.config import Config

from swin_mmdet.config import type_name

LOOPS = 'EpochBasedTrainLoop', 'IterBasedTrainLoop'
GUARDS = (
    *('WorkDirHook', 'StopHook', 'NonFiniteHook', 'BrokenImagesHook', 'LostProcessHook', 'OutOfMemoryHook'),
)
# what a guard does better
REPLACED = ('CheckInvalidLossHook',)


def guard(cfg: Config) -> None:
    """Put this package's loop and checkpoint hook in the place of mmengine's, in place, and add the guards it lacks.

    What a config has of another kind, its own hooks and loops, stays.
    """
    loop = cfg.get('train_cfg')
    if not loop:
        return
    if 'type' not in loop:
        # as mmengine decides
        loop['type'] = LOOPS[0] if loop.pop('by_epoch', True) else LOOPS[1]
    if type_name(loop) in LOOPS:
        loop['type'] = f'swin_mmdet.{type_name(loop)}'
    # `setdefault` of a config keeps a copy of what it gets and returns
    if cfg.get('default_hooks') is None:
        cfg.default_hooks = {}
    if 'checkpoint' not in cfg.default_hooks:
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', interval=1)
    # one that is None was taken out
    saver = cfg.default_hooks.checkpoint
    if saver is not None and type_name(saver) == 'CheckpointHook':
        saver['type'] = 'swin_mmdet.CheckpointHook'
    custom = [hook for hook in cfg.get('custom_hooks') or [] if type_name(hook) not in REPLACED]
    present = {type_name(hook) for hook in custom}
    for name in GUARDS:
        needs_saver = name == 'StopHook'
        if name not in present and not (needs_saver and (saver is None or 'swin_mmdet' not in str(saver['type']))):
            custom.append(dict(type=f'swin_mmdet.{name}'))
    cfg.custom_hooks = custom

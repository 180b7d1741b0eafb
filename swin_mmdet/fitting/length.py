"""The length of a run by the number of its images, how often it is evaluated, and lines of its log.

Recipes say how often a detector should see each of COCO's images. Of fewer images it has to see each more often, though
not as often that the iterations are the same: they would be learnt by heart. Here the passes grow with the cube root: a
tenth of the images is seen 2.15 times as often, a hundredth 4.6 times, at most `MOST` times. It lies between what mmdet
has for VOC0712 (16,551 images: as often as COCO's) and for Cityscapes (2,975 images: 64 passes instead of 12, which
would be a root of 2.2). More images than the recipe's are seen as often as its own.
"""

from mmengine.config import Config

from swin_mmdet.config import keyed_nodes, type_name
from swin_mmdet.config.changes import Changes
from swin_mmdet.datasets.loaders import steps_of_epoch
from swin_mmdet.engine.run_length import RunLength, run_length
from swin_mmdet.engine.schedules import covered
from swin_mmdet.errors import UserError
from swin_mmdet.fitting.setting import Setting

EXPONENT = 1 / 3
MOST = 300
# of a run
EVALUATIONS, LINES = 12, 50
NAME, OPTION = 'length', '--epochs or --iters'


def recipe_epochs(cfg: Config, images: int) -> float:
    """Passes over so many images that the recipe makes; of one in iterations by the batch of its learning rate.

    Raises:
        UserError: the config does not train.
    """
    length = run_length(cfg)
    if length is None:
        raise UserError('the config has no train_cfg with max_epochs or max_iters: it does not train')
    if length.by_epoch:
        return length.count
    batch = (cfg.get('auto_scale_lr') or {}).get('base_batch_size') or cfg.train_dataloader.batch_size
    return length.count * batch / images


def wanted_epochs(epochs: float, recipe_images: int, images: int) -> int:
    """Passes over `images` for a recipe that makes `epochs` over `recipe_images`."""
    more = max(recipe_images / images, 1) ** EXPONENT
    return max(round(min(epochs * more, max(MOST, epochs))), 1)


def fit_length(cfg: Config, images: int, recipe_images: int | None) -> tuple[Setting, int | None]:
    """The setting, and the epochs where they change. The config stays as it is.

    Args:
        images: of the training data.
        recipe_images: of the data for which the length of the config was chosen; None: nobody knows.
    """
    length = run_length(cfg)
    if recipe_images is None:
        why = 'it is not known for how many images this config chose it'
        return Setting(NAME, str(length), str(length), why, OPTION), None
    epochs = recipe_epochs(cfg, recipe_images)
    wanted = wanted_epochs(epochs, recipe_images, images)
    old = f'{epochs:.3g} epochs' + ('' if length and length.by_epoch else f' ({length})')
    steps = steps_of_epoch(cfg, images)
    reason = (
        f"{images} images, the recipe's {recipe_images:,} are {recipe_images / images:.3g} times as many; "
        f'{wanted * steps:,} iterations'
    )
    return Setting(NAME, old, f'{wanted} epochs', reason, OPTION), wanted


def fit_intervals(cfg: Config, explicit: list[str], images: int) -> Setting | None:
    """Evaluate and save about `EVALUATIONS` times in a run, at most once a pass over so many images, in place.

    None where that is so.
    """
    length, changes = run_length(cfg), Changes()
    if length is None:
        return None
    # a run that is shorter than a pass is evaluated at its end
    a_pass = 1 if length.by_epoch else steps_of_epoch(cfg, images)
    interval = min(max(round(length.count / EVALUATIONS), a_pass), length.count)
    before = cfg.train_cfg.get('val_interval', 1)
    if not covered('train_cfg.val_interval', explicit):
        changes.set(cfg.train_cfg, 'val_interval', interval, 'val_interval')
        # it counts from the end of a run that was longer
        cfg.train_cfg.pop('dynamic_intervals', None)
    for key, hook in keyed_nodes(cfg.get('default_hooks') or {}, 'default_hooks'):
        same_unit = hook.get('by_epoch', True) == length.by_epoch
        if type_name(hook) == 'CheckpointHook' and same_unit and not covered(f'{key}.interval', explicit):
            changes.set(hook, 'interval', interval, f'{key}.interval')
    if not changes:
        return None
    unit = RunLength(interval, length.by_epoch)
    return Setting(
        'evaluation and checkpoints', f'every {RunLength(before, length.by_epoch)}', f'every {unit}',
        f'about {EVALUATIONS} in a run of {length}, at most once a pass over the data',
        '--cfg-options train_cfg.val_interval=...',
    )  # fmt: skip


def fit_log(cfg: Config, explicit: list[str], images: int) -> Setting | None:
    """Let the log of a run that is shorter than the recipe's have lines, and its curves points, in place."""
    length, hook, key = run_length(cfg), (cfg.get('default_hooks') or {}).get('logger'), 'default_hooks.logger.interval'
    if length is None or hook is None or covered(key, explicit):
        return None
    iterations = length.count * (steps_of_epoch(cfg, images) if length.by_epoch else 1)
    # mmengine's own where none is named
    before = hook.get('interval', 10)
    interval = min(before, max(iterations // LINES, 1))
    if interval == before:
        return None
    hook['interval'] = interval
    old, new = (f'every {RunLength(number, by_epoch=False)}' for number in (before, interval))
    reason = f'{LINES} or more in a run, if it has as many iterations'
    return Setting('lines of the log', old, new, reason, f'--cfg-options {key}=...')

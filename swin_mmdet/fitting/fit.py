"""A config whose data are in it, with every setting that follows from them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from mmengine.config import Config

from swin_mmdet.config import nodes
from swin_mmdet.config.changes import shown
from swin_mmdet.config.everyday import EverydayOptions
from swin_mmdet.config.model_names import COCO_IMAGES, NamedModel
from swin_mmdet.datasets.heads import head_classes
from swin_mmdet.datasets.image_scale import set_image_scale
from swin_mmdet.datasets.loaders import set_batch_size, steps_of_epoch
from swin_mmdet.engine.accumulation import accumulate
from swin_mmdet.engine.everyday import apply_length
from swin_mmdet.engine.run_length import RunLength, run_length
from swin_mmdet.engine.runner import SCALES
from swin_mmdet.engine.schedules import by_epoch, end_of_warm_up, is_warm_up, schedulers
from swin_mmdet.engine.warm_up import SHARE, bound_warm_up
from swin_mmdet.fitting.anchors import fit_anchors
from swin_mmdet.fitting.batch_size import batch_of, fit_batch_size
from swin_mmdet.fitting.detections import fit_detections
from swin_mmdet.fitting.image_scale import fit_image_scale
from swin_mmdet.fitting.length import fit_intervals, fit_length, fit_log
from swin_mmdet.fitting.resize import resized
from swin_mmdet.fitting.setting import Setting, set_by_user
from swin_mmdet.fitting.statistics import Statistics, statistics
from swin_mmdet.fitting.trial import make_trial

SEED = 0
# a user's own settings inside of these are about the size of images
SIZES = ('pipeline', 'batch_augments')


@dataclass
class Fitted:
    """What was done to a config.

    Attributes:
        settings: each that was looked at, in order, also those that stay.
        lines: what else there is to tell the user.
    """

    settings: list[Setting] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


def fit(
    cfg: Config,
    recipe: Config,
    options: EverydayOptions,
    explicit: Collection[str] = (),
    *,
    recipe_images: int | None = None,
    device: str = 'cpu',
    accumulated: str | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Fitted:
    """Fit every setting that the user has not set, in place: image scale, anchors, batch, rate, length, warm-up, seed.

    Args:
        cfg: with its data, checked, and with `options` and all that takes memory, but for the length of the run.
        recipe: the same config as its file has it.
        options: those of the user.
        explicit: keys that the user set with `--cfg-options`.
        recipe_images: for how many images the recipe chose its length; None: nobody knows.
        device: 'cuda' to try which batch fits.
        accumulated: `--accumulate`, for the batch that was found.
        say: is told each setting as soon as it is known.

    Raises:
        UserError: no image or object to train on, or a GPU too small for one image.
    """
    explicit, fitted = list(explicit), Fitted()

    def note(*settings: Setting | None) -> None:
        for setting in filter(None, settings):
            fitted.settings.append(setting)
            say(str(setting))

    data = statistics(cfg)
    note(_classes(cfg, recipe, data))
    note(_fit_scale(cfg, data, options, explicit))
    note(*fit_anchors(cfg, resized(cfg, data), explicit))
    note(*fit_detections(cfg, explicit))
    note(_fit_batch(cfg, data, options, explicit, device, say))
    if accumulated:
        fitted.lines += accumulate(cfg, accumulated)
    note(_rate(cfg, options, explicit))
    note(*_fit_length(cfg, data, options, explicit, recipe_images))
    note(fit_log(cfg, explicit, data.images))
    note(_fit_warm_up(cfg, data))
    note(_fit_seed(cfg, options, explicit))
    return fitted


def images_of_recipe(recipe: Config, model: NamedModel | None) -> int | None:
    """For how many images a config chose its length: of a named one its row says so, else those of COCO by its path."""
    if model:
        return model.images
    paths = [
        str(node.get('data_root') or '') + str(node['ann_file'])
        for node in nodes(recipe.get('train_dataloader'))
        if isinstance(node.get('ann_file'), str)
    ]
    is_coco = any('coco' in path.split('/') and 'train2017' in path for path in paths)
    return COCO_IMAGES if is_coco else None


def _classes(cfg: Config, recipe: Config, data: Statistics) -> Setting | None:
    now, before = head_classes(cfg.model), head_classes(recipe.model)
    if not now:
        return None
    objects = f'{len(data.boxes):,} objects in {len(data.image_sizes):,} images of training'
    return Setting('classes', str(before[0].value), str(now[0].value), f'those of the data, in every head; {objects}')


def _fit_scale(cfg: Config, data: Statistics, options: EverydayOptions, explicit: list[str]) -> Setting:
    setting, wanted = fit_image_scale(cfg, data)
    if options.img_scale:
        return set_by_user(setting.name, setting.old, '--img-scale')
    if any(word in key for key in explicit for word in SIZES):
        return set_by_user(setting.name, setting.old, '--cfg-options')
    if wanted:
        set_image_scale(cfg, wanted)
    return setting


def _fit_batch(
    cfg: Config,
    data: Statistics,
    options: EverydayOptions,
    explicit: list[str],
    device: str,
    say: Callable[[str], object],
) -> Setting:
    batch = batch_of(cfg)
    if options.batch_size:
        return set_by_user('batch', str(batch), '--batch-size')
    if any(key.startswith('train_dataloader.') and key.endswith('batch_size') for key in explicit):
        return set_by_user('batch', str(batch), '--cfg-options')
    if device == 'cuda':
        say('batch: steps of the model are tried ...')
    setting, found = fit_batch_size(cfg, data.images, make_trial(cfg, data, device))
    set_batch_size(cfg, found)
    return setting


def _rate(cfg: Config, options: EverydayOptions, explicit: list[str]) -> Setting | None:
    """Let the runner scale it from the recipe's batch, unless the user has set it."""
    name, option, rate = 'learning rate', '--lr', (cfg.optim_wrapper.get('optimizer') or {}).get('lr')
    scaling = cfg.get('auto_scale_lr') or {}
    base = scaling.get('base_batch_size')
    if not rate:
        return None
    old = f'{rate:.3g}'
    if options.lr is not None and not scaling.get('enable'):
        return set_by_user(name, old, option)
    if 'optim_wrapper.optimizer.lr' in explicit:
        return set_by_user(name, old, '--cfg-options')
    if not base:
        return Setting(name, old, old, "no auto_scale_lr.base_batch_size says what the recipe's batch is", option)
    cfg.auto_scale_lr.update(enable=True)
    rule = scaling.get('rule', 'linear')
    batch = batch_of(cfg) * cfg.optim_wrapper.get('accumulative_counts', 1)
    new = f'{rate * SCALES[rule](batch / base):.3g}'
    return Setting(name, old, new, f"for a batch of {batch}, the recipe's has {base} ({rule} scaling)", option)


def _fit_length(
    cfg: Config, data: Statistics, options: EverydayOptions, explicit: list[str], recipe_images: int | None
) -> list[Setting | None]:
    setting, wanted = fit_length(cfg, data.images, recipe_images)
    if options.epochs or options.iters:
        apply_length(cfg, options, dict.fromkeys(explicit))
        option = '--epochs' if options.epochs else '--iters'
        return [set_by_user(setting.name, str(run_length(cfg)), option), fit_intervals(cfg, explicit, data.images)]
    if any(key.startswith('train_cfg.max_') for key in explicit):
        return [set_by_user(setting.name, str(run_length(cfg)), '--cfg-options')]
    if wanted is None:
        return [setting]
    apply_length(cfg, EverydayOptions(epochs=wanted), dict.fromkeys(explicit))
    return [setting, fit_intervals(cfg, explicit, data.images)]


def _fit_warm_up(cfg: Config, data: Statistics) -> Setting | None:
    """As the runner would, so that the config says it."""
    length = run_length(cfg)
    if length is None or cfg.get('keep_warm_up') or 'param_scheduler' not in cfg:
        return None
    epoch, old = steps_of_epoch(cfg, data.images), _warm_ups(cfg)
    iterations = length.count * (epoch if length.by_epoch else 1)
    if not bound_warm_up(cfg.param_scheduler, epoch, iterations, length.by_epoch):
        return None
    reason = f'at most {SHARE:.0%} of the run of {iterations:,} iterations'
    return Setting('warm-up', old, _warm_ups(cfg), reason, '--cfg-options param_scheduler.0.end=...')


def _warm_ups(cfg: Config) -> str:
    """How long they are, in words."""
    found = [one for _, one in schedulers(cfg.param_scheduler) if is_warm_up(one)]
    return ', '.join(str(RunLength(end_of_warm_up(one), by_epoch(one))) for one in found) or 'none'


def _fit_seed(cfg: Config, options: EverydayOptions, explicit: list[str]) -> Setting:
    seed = (cfg.get('randomness') or {}).get('seed')
    if options.seed is not None or 'randomness.seed' in explicit:
        return set_by_user('seed', str(seed), '--seed' if options.seed is not None else '--cfg-options')
    if seed is None:
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=SEED)
    new = shown(cfg.randomness['seed'])
    return Setting('seed', shown(seed), new, 'the config that is written trains the same', '--seed')

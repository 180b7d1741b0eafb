"""What is changed most in a training, put into a config with everything that depends on it.

Each function returns lines for the user, such as '--batch-size 4: train_dataloader.batch_size 2 -> 4; ...'.
"""

from collections.abc import Iterable

from mmengine.config import Config

from swin_mmdet.config.everyday import EverydayOptions
from swin_mmdet.config.files import read_config
from swin_mmdet.datasets.image_scale import set_image_scale
from swin_mmdet.datasets.loaders import epoch_length, set_batch_size, set_workers
from swin_mmdet.engine.learning_rate import set_learning_rate
from swin_mmdet.engine.run_length import RunLength, follow, run_length, set_length
from swin_mmdet.engine.schedules import covered, is_warm_up, schedulers
from swin_mmdet.errors import UserError


def recipe_length(path: str, settings: dict) -> RunLength | None:
    """The length of a config's run without `--cfg-options`, where they may change it.

    Args:
        path: of the config.
        settings: `--cfg-options`, key -> value.

    Raises:
        UserError: they set it in what the config does not count.
    """
    if not any(key.startswith('train_cfg') for key in settings):
        return None
    length = run_length(read_config(path))
    other = {'max_epochs': 'epochs', 'max_iters': 'iters'}
    for field, option in other.items():
        wanted = settings.get(f'train_cfg.{field}')
        if wanted is not None and length and field != length.field and 'train_cfg.type' not in settings:
            raise UserError(
                f'train_cfg.{field}={wanted}: this config counts {length.unit} ({length.field}={length.count}); '
                f'--{option} {wanted} converts'
            )
    return length


def follow_settings(cfg: Config, settings: dict, before: RunLength | None) -> list[str]:
    """What follows a length of the run that `--cfg-options` set, after `before`: schedules, intervals, stages."""
    lines, length = [], run_length(cfg)
    if before:
        changes = follow(cfg, before, settings)
        if length and length != before:
            lines.append(_line(f'--cfg-options train_cfg.{length.field} {before.count} -> {length.count}', changes))
    warm_ups = [key for key, one in schedulers(cfg.get('param_scheduler')) if is_warm_up(one)]
    if any(covered(f'{key}.end', settings) for key in warm_ups):
        # the runner does not bound it
        cfg.keep_warm_up = True
    if 'runner_type' in cfg:
        lines.append(f'runner_type={cfg.runner_type}: whether warm-up and schedule fit the run is not checked')
    return lines


def apply_everyday(cfg: Config, wanted: EverydayOptions, settings: dict, scales_rate: bool = False) -> list[str]:
    """All of them but the length of the run, in place.

    Args:
        settings: `--cfg-options`, which stay as they are.
        scales_rate: whether the learning rate is to be scaled from the recipe's batch in any case.
    """
    lines = []
    if wanted.batch_size:
        changes = set_batch_size(cfg, wanted.batch_size)
        base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
        if base and wanted.lr is None and not scales_rate:
            cfg.auto_scale_lr.update(enable=True)
            changes.append(f"the learning rate is scaled from the recipe's batch of {base} (--lr sets it)")
        elif not base and wanted.lr is None:
            changes.append("the learning rate stays: no auto_scale_lr.base_batch_size says what the recipe's batch is")
        lines.append(_line(f'--batch-size {wanted.batch_size}', changes))
    if wanted.lr is not None:
        changes = set_learning_rate(cfg, wanted.lr, settings)
        if scales_rate:
            changes.append("of the recipe's batch, --auto-scale-lr scales it to yours")
        elif (cfg.get('auto_scale_lr') or {}).get('enable'):
            changes.set(cfg.auto_scale_lr, 'enable', False, 'auto_scale_lr.enable')
        lines.append(_line(f'--lr {wanted.lr:g}', changes))
    if wanted.img_scale:
        option = f'--img-scale {" ".join(map(str, wanted.img_scale))}'
        lines.append(_line(option, set_image_scale(cfg, wanted.img_scale)))
    if wanted.workers is not None:
        lines.append(_line(f'--workers {wanted.workers}', set_workers(cfg, wanted.workers)))
    if wanted.seed is not None:
        before = (cfg.get('randomness') or {}).get('seed')
        cfg.randomness = dict(cfg.get('randomness') or {}, seed=wanted.seed)
        change = f'randomness.seed {before if before is not None else "none"} -> {wanted.seed}'
        lines.append(_line(f'--seed {wanted.seed}', [change]))
    return lines


def apply_length(cfg: Config, wanted: EverydayOptions, settings: dict, processes: int = 1) -> list[str]:
    """`epochs` and `iters`, in place, after the batch is known: an epoch may have to be counted in the data."""
    if not wanted.epochs and not wanted.iters:
        return []
    steps = cfg.optim_wrapper.get('accumulative_counts', 1)
    length = RunLength(wanted.epochs, True) if wanted.epochs else RunLength(wanted.iters * steps, False)
    changes = set_length(cfg, length, lambda: epoch_length(cfg, processes), settings)
    return [_line(f'--epochs {wanted.epochs}' if wanted.epochs else f'--iters {wanted.iters}', changes)]


def _line(option: str, changes: Iterable[str]) -> str:
    return f'{option}: {"; ".join(changes) or "nothing changes"}'

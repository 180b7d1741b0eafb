"""How long a run is, and everything in a config that follows its length: schedules, intervals, switches of stages."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from mmengine.config import Config

from swin_mmdet.config import keyed_nodes, type_name
from swin_mmdet.config.changes import Changes
from swin_mmdet.engine.schedules import (
    COUNTS,
    by_epoch,
    covered,
    end_of,
    end_of_warm_up,
    is_warm_up,
    schedulers,
    stretch,
)
from swin_mmdet.engine.warm_up import MOST, SHARE, follow_warm_up, is_left_out, longest, shorten
from swin_mmdet.errors import UserError

# hook -> what it counts from the start of the run, in epochs
BEGINS = {'PipelineSwitchHook': 'switch_epoch', 'EMAHook': 'begin_epoch'}
# and from its end
LASTS = {'YOLOXModeSwitchHook': 'num_last_epochs'}
# these act between epochs
AT_EPOCHS = ('PipelineSwitchHook', 'YOLOXModeSwitchHook')


@dataclass(frozen=True)
class RunLength:
    """A number of epochs or iterations."""

    count: int
    by_epoch: bool

    @property
    def field(self) -> str:
        return 'max_epochs' if self.by_epoch else 'max_iters'

    @property
    def unit(self) -> str:
        return 'epochs' if self.by_epoch else 'iterations'

    def __str__(self) -> str:
        return f'{self.count} {self.unit}' if self.count != 1 else f'1 {self.unit.removesuffix("s")}'


def run_length(cfg: Config) -> RunLength | None:
    """What `train_cfg` says; None for a config that does not train.

    Raises:
        UserError: a length that no run can have, or two.
    """
    loop = cfg.get('train_cfg') or {}
    given = {field: loop[field] for field in ('max_epochs', 'max_iters') if loop.get(field) is not None}
    if len(given) > 1:
        raise UserError(
            f'train_cfg counts epochs or iterations, not both: it has max_epochs={given["max_epochs"]} and '
            f'max_iters={given["max_iters"]}; `train.py` converts with --epochs or --iters'
        )
    for field, count in given.items():
        if isinstance(count, bool) or not isinstance(count, int | float) or count != int(count) or count < 1:
            raise UserError(f'train_cfg.{field}={count!r}: the length of a run is a whole number, at least 1')
        return RunLength(int(count), field == 'max_epochs')
    return None


def follow(cfg: Config, before: RunLength | None, explicit: Collection[str] = ()) -> Changes:
    """Fit a config, in place, whose `train_cfg` has another length than the one for which the rest was written.

    Schedules, what switches stages and what starts late keep their shares of the run. Warm-ups keep their length, up to
    a share of the run. Intervals of evaluation and checkpoints that exceed the run become as long as it.

    Args:
        before: the length for which the rest was written.
        explicit: keys that the user set, which stay as they are; so does what is inside them.
    """
    after, changes = run_length(cfg), Changes()
    if before is None or after is None or before == after:
        return changes
    if before.by_epoch != after.by_epoch:
        if covered('param_scheduler', explicit):
            return changes
        raise UserError(
            f'train_cfg counts {after.unit} and the schedule of this config {before.unit}: '
            f'`train.py` converts with {"--epochs" if after.by_epoch else "--iters"} {after.count}'
        )
    ratio = after.count / before.count
    for key, scheduler in schedulers(cfg.get('param_scheduler')):
        if is_warm_up(scheduler):
            _fit_warm_up(cfg, key, scheduler, before, after, explicit, changes)
    for key, scheduler in schedulers(cfg.get('param_scheduler')):
        if not is_warm_up(scheduler):
            _stretch(cfg, key, scheduler, ratio, after, explicit, changes)
    _fit_loop(cfg, ratio, after, explicit, changes)
    _fit_hooks(cfg, ratio, after, explicit, changes)
    return changes


def set_length(
    cfg: Config, wanted: RunLength, epoch_length: Callable[[], int], explicit: Collection[str] = ()
) -> Changes:
    """Train for so many epochs or iterations, whatever the config counts, with everything that follows, in place.

    A config that counts iterations trains as many as these epochs have. One that counts epochs counts iterations
    then, but where a hook acts between epochs the whole epochs that are nearest.

    Args:
        epoch_length: iterations of an epoch; only called where the unit changes.
        explicit: keys that the user set for this length, which stay unless they count in another unit.

    Raises:
        UserError: the config does not train, or its loop cannot be changed.
    """
    before = run_length(cfg)
    if before is None:
        raise UserError(f'{wanted}: the config has no train_cfg with max_epochs or max_iters')
    if before.by_epoch and not wanted.by_epoch:
        if between := [
            type_name(hook) for _, hook in keyed_nodes(cfg.get('custom_hooks')) if type_name(hook) in AT_EPOCHS
        ]:
            length = epoch_length()
            changes = Changes([f'{between[0]} acts between epochs: whole epochs of {length} iterations'])
            changes += _set_same_unit(cfg, before, RunLength(max(round(wanted.count / length), 1), True), explicit)
            return changes
        return _to_iterations(cfg, before, wanted, epoch_length, explicit)
    if wanted.by_epoch and not before.by_epoch:
        length = epoch_length()
        changes = Changes([f'an epoch is {length} iterations'])
        return Changes(changes + _set_same_unit(cfg, before, RunLength(wanted.count * length, False), explicit))
    return _set_same_unit(cfg, before, wanted, explicit)


def interval_problems(cfg: Config) -> list[str]:
    """A sentence about each interval of evaluation and checkpoints that lets them come at the end of the run only."""
    length, problems = run_length(cfg), []
    if length is None:
        return problems
    interval = cfg.train_cfg.get('val_interval', 0)
    if cfg.get('val_cfg') is not None and interval > length.count:
        problems.append(
            f'train_cfg.val_interval={interval} exceeds the run of {length}: evaluation comes at its end only'
        )
    for key, hook in keyed_nodes(cfg.get('default_hooks') or {}, 'default_hooks'):
        if type_name(hook) != 'CheckpointHook' or (interval := hook.get('interval', -1)) < 1:
            continue
        in_epochs = hook.get('by_epoch', True)
        if in_epochs and not length.by_epoch:
            # to mmengine a run of iterations is one epoch
            problems.append(f'{key} counts epochs and the run iterations: a checkpoint comes at its end only')
        elif in_epochs == length.by_epoch and interval > length.count:
            problems.append(
                f'{key}.interval={interval} exceeds the run of {length}: a checkpoint comes at its end only'
            )
    return problems


def _set_same_unit(cfg: Config, before: RunLength, after: RunLength, explicit: Collection[str]) -> Changes:
    changes = Changes()
    changes.set(cfg.train_cfg, after.field, after.count, f'train_cfg.{after.field}')
    return Changes(changes + follow(cfg, before, explicit))


def _fit_warm_up(
    cfg: Config,
    key: str,
    scheduler: dict,
    before: RunLength,
    after: RunLength,
    explicit: Collection[str],
    changes: Changes,
) -> None:
    """One that counts what the run counts; the others wait until the iterations of an epoch are known."""
    end = end_of_warm_up(scheduler)
    if by_epoch(scheduler) != before.by_epoch or covered(f'{key}.end', explicit):
        return
    share = end / before.count
    new = round(end * after.count / before.count) if share > MOST else longest(share, after.count)
    if share <= MOST and new >= end:
        return
    if by_epoch(scheduler):
        new = max(new, 1 if after.count > 1 else 0)
    name = type_name(scheduler)
    kept = shorten(scheduler, new)
    follow_warm_up(cfg.param_scheduler, scheduler, end)
    changes.append(f'{name} (warm-up) end {end} -> {new}' if kept else f'{name} (warm-up) end {end} -> left out')


def _stretch(
    cfg: Config, key: str, scheduler: dict, ratio: float, after: RunLength, explicit: Collection[str], changes: Changes
) -> None:
    fixed = {field for field in (*COUNTS, 'gamma') if covered(f'{key}.{field}', explicit)}
    if fixed:
        # what the user left goes with what they set, but it lasts as long as the run if it did
        lasted = end_of(scheduler) == round(after.count / ratio) and by_epoch(scheduler) == after.by_epoch
        fixed |= set(COUNTS) - ({'end', 'T_max'} - fixed if lasted else set())
    begins = _ends_of_warm_ups(cfg, scheduler)
    length = after.count if by_epoch(scheduler) == after.by_epoch else None
    stretch(scheduler, ratio, length, fixed, changes, begins)


def _ends_of_warm_ups(cfg: Config, scheduler: dict) -> dict[int, int]:
    """What begins where a warm-up ends goes on doing so."""
    same_unit = [one for _, one in schedulers(cfg.param_scheduler) if by_epoch(one) == by_epoch(scheduler)]
    return {one['end']: one['end'] for one in same_unit if is_warm_up(one) or is_left_out(one)}


def _fit_loop(cfg: Config, ratio: float, after: RunLength, explicit: Collection[str], changes: Changes) -> None:
    loop = cfg.train_cfg

    def fit(field: str, value: object) -> None:
        if not covered(f'train_cfg.{field}', explicit):
            changes.set(loop, field, value, f'train_cfg.{field}')

    if loop.get('val_interval', 0) > after.count:
        fit('val_interval', after.count)
    if loop.get('val_begin', 1) > 1:
        fit('val_begin', max(round(loop.val_begin * ratio), 1))
    if loop.get('dynamic_intervals'):
        # each from its share of the run on; one that leaves out the rest of the run still does
        old = after.count / ratio
        fit('dynamic_intervals', [
            (max(round(begin * ratio), 1), after.count if interval >= old else min(interval, after.count))
            for begin, interval in loop.dynamic_intervals
        ])  # fmt: skip


def _fit_hooks(cfg: Config, ratio: float, after: RunLength, explicit: Collection[str], changes: Changes) -> None:
    for group in ('default_hooks', 'custom_hooks'):
        for key, hook in keyed_nodes(cfg.get(group) or [], group):
            kind = type_name(hook)

            def fit(field: str, value: int, hook: dict = hook, key: str = key, kind: str = kind) -> None:
                if not covered(f'{key}.{field}', explicit):
                    changes.set(hook, field, value, f'{kind} {field}')

            if kind == 'CheckpointHook' and hook.get('by_epoch', True) == after.by_epoch:
                if hook.get('interval', 0) > after.count:
                    fit('interval', after.count)
                if hook.get('save_begin'):
                    fit('save_begin', round(hook['save_begin'] * ratio))
            if hook.get(BEGINS.get(kind, '')) and after.by_epoch:
                # a stage that was part of the run still is
                fit(BEGINS[kind], min(max(round(hook[BEGINS[kind]] * ratio), 1), max(after.count - 1, 1)))
            if hook.get('begin_iter') and kind == 'EMAHook':
                fit('begin_iter', round(hook['begin_iter'] * ratio))
            if hook.get(LASTS.get(kind, '')) and after.by_epoch:
                fit(LASTS[kind], max(round(hook[LASTS[kind]] * ratio), 1))


def _to_iterations(
    cfg: Config, before: RunLength, after: RunLength, epoch_length: Callable[[], int], explicit: Collection[str]
) -> Changes:
    """A config that counts epochs counts iterations."""
    loop, changes, ratio = cfg.train_cfg, Changes(), after.count / before.count
    kind = type_name(loop)
    if kind not in ('', 'EpochBasedTrainLoop'):
        raise UserError(f'--iters: the loop of this config, {kind}, counts epochs; give --epochs')
    changes.append(f'train_cfg.max_epochs {before.count} -> max_iters {after.count}')
    for name in ('by_epoch', 'max_epochs', '_scope_'):
        loop.pop(name, None)
    loop.update(type='IterBasedTrainLoop', max_iters=after.count)
    changes.set(loop, 'val_interval', max(round(loop.get('val_interval', 1) * ratio), 1), 'train_cfg.val_interval')
    if loop.get('val_begin', 1) > 1:
        changes.set(loop, 'val_begin', round(loop.val_begin * ratio), 'train_cfg.val_begin')
    if loop.get('dynamic_intervals'):
        intervals = [tuple(max(round(one * ratio), 1) for one in pair) for pair in loop.dynamic_intervals]
        changes.set(loop, 'dynamic_intervals', intervals, 'train_cfg.dynamic_intervals')
    for key, scheduler in schedulers(cfg.get('param_scheduler')):
        if by_epoch(scheduler) or not covered(f'{key}.end', explicit):
            _count_iterations(cfg, scheduler, ratio, before, after, epoch_length, changes)
    for _, hook in keyed_nodes([cfg.get('default_hooks'), cfg.get('custom_hooks')]):
        _hook_in_iterations(hook, ratio, changes)
    cfg.log_processor = dict(cfg.get('log_processor') or {}, by_epoch=False)
    sampler = cfg.train_dataloader.get('sampler')
    if type_name(sampler) == 'DefaultSampler':
        # one that ends is started again with a warning
        sampler.type = 'InfiniteSampler'
        sampler.pop('round_up', None)
        changes.append('DefaultSampler -> InfiniteSampler')
    return changes


def _count_iterations(
    cfg: Config, scheduler: dict, ratio: float, before: RunLength, after: RunLength, epoch_length: Callable[[], int],
    changes: Changes
) -> None:  # fmt: skip
    kind = type_name(scheduler)
    if by_epoch(scheduler):
        begins = _ends_of_warm_ups(cfg, scheduler)
        scheduler.update(by_epoch=False)
        scheduler.pop('convert_to_iter_based', None)
        stretch(scheduler, ratio, after.count, (), changes, {end: round(end * ratio) for end in begins})
    elif is_warm_up(scheduler):
        end, limit = end_of_warm_up(scheduler), int(SHARE * after.count)
        if end > limit:
            kept = shorten(scheduler, limit)
            follow_warm_up(cfg.param_scheduler, scheduler, end)
            changes.append(f'{kind} (warm-up) end {end} -> {limit if kept else "left out"}')
    else:
        stretch(scheduler, after.count / (before.count * epoch_length()), after.count, (), changes)


def _hook_in_iterations(hook: dict, ratio: float, changes: Changes) -> None:
    kind = type_name(hook)
    if kind == 'CheckpointHook' and hook.get('by_epoch', True):
        hook['by_epoch'] = False
        if hook.get('interval', -1) > 0:
            changes.set(hook, 'interval', max(round(hook['interval'] * ratio), 1), f'{kind} interval')
        if hook.get('save_begin'):
            changes.set(hook, 'save_begin', round(hook['save_begin'] * ratio), f'{kind} save_begin')
    elif kind == 'LoggerHook':
        hook['log_metric_by_epoch'] = False
    elif kind == 'EMAHook' and hook.get('begin_epoch'):
        changes.set(hook, 'begin_iter', round(hook.pop('begin_epoch') * ratio), f'{kind} begin_iter')

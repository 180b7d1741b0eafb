"""The schedulers of a config: which warm up, what each counts, and the same one for a run of another length."""

from collections.abc import Collection, Iterator
from itertools import pairwise

from swin_mmdet.config import keyed_nodes, type_name
from swin_mmdet.config.changes import Changes

COUNTS = ('begin', 'end', 'milestones', 'step_size', 'T_max', 'total_steps', 'periods')
FOREVER = 10**9  # mmengine's default `end`


def schedulers(node: object, key: str = 'param_scheduler') -> Iterator[tuple[str, dict]]:
    """Each scheduler of a config's `param_scheduler` (one, a list, or those of several optimizers) with its key."""
    return ((place, one) for place, one in keyed_nodes(node, key) if 'type' in one)


def by_epoch(scheduler: dict) -> bool:
    """Whether its counts are epochs; with `convert_to_iter_based` they are too."""
    return scheduler.get('by_epoch', True)


def parameter(scheduler: dict) -> str:
    """What it changes: 'lr' or 'momentum'."""
    if name := scheduler.get('param_name'):
        return name
    return 'momentum' if type_name(scheduler).endswith('Momentum') else 'lr'


def end_of(scheduler: dict) -> int | None:
    """The epoch or iteration where it ends, None where it ends with the run."""
    end = scheduler.get('end', FOREVER)
    return None if end is None or end >= FOREVER else end


def end_of_warm_up(scheduler: dict) -> int:
    """The same of one that `is_warm_up`."""
    end = end_of(scheduler)
    assert end is not None
    return end


def is_warm_up(scheduler: dict) -> bool:
    """Whether it leads up to the value of the optimizer: it starts with the run, rises and ends."""
    if scheduler.get('begin', 0) or end_of(scheduler) is None:
        return False
    kind = type_name(scheduler)
    if kind.startswith('Linear'):
        return scheduler.get('start_factor', 1 / 3) < scheduler.get('end_factor', 1.0)
    if kind.startswith('Constant'):
        return scheduler.get('factor', 1 / 3) < 1
    return kind.startswith('QuadraticWarmup')


def stretch(
    scheduler: dict,
    ratio: float,
    length: int | None,
    fixed: Collection[str],
    changes: Changes,
    begins: dict[int, int] | None = None,
) -> None:
    """Fit the counts of a scheduler, in place, to a run that is `ratio` times as long.

    Args:
        length: of the new run, in what the scheduler counts; what acted within the run then still does. None: unknown.
        fixed: names that stay as they are.
        begins: begin -> the new one, where that does not follow the ratio: after a warm-up.
    """
    kind = type_name(scheduler)
    begin, end = scheduler.get('begin', 0), end_of(scheduler)

    def fit(field: str, value: object) -> None:
        if field not in fixed:
            changes.set(scheduler, field, value, f'{kind} {field}')

    if begin:
        fit('begin', (begins or {}).get(begin, round(begin * ratio)))
    if end is not None:
        fit('end', max(round(end * ratio), 1))
        if scheduler['end'] <= scheduler.get('begin', 0):
            fit('begin', max(scheduler['end'] - 1, 0))
    if 'milestones' in scheduler:
        fit('milestones', _milestones(scheduler['milestones'], ratio, length))
    if 'step_size' in scheduler:
        fit('step_size', max(round(scheduler['step_size'] * ratio), 1))
    if scheduler.get('T_max') is not None:
        whole = end is not None and scheduler['T_max'] == end - begin
        fit(
            'T_max',
            scheduler['end'] - scheduler.get('begin', 0) if whole else max(round(scheduler['T_max'] * ratio), 1),
        )
    if scheduler.get('total_steps') is not None:
        fit('total_steps', max(round(scheduler['total_steps'] * ratio), 1))
    if 'periods' in scheduler:
        fit('periods', _periods(scheduler['periods'], ratio))
    if kind.startswith('Exponential') and 'gamma' in scheduler:
        # a factor for each epoch or iteration: at the end it is the same
        fit('gamma', scheduler['gamma'] ** (1 / ratio))


def _milestones(milestones: Collection[int], ratio: float, length: int | None) -> list[int]:
    """At the same shares of the run: whole numbers, each its own, and before the end if they were."""
    new = [round(one * ratio) for one in sorted(milestones)]
    old_length = None if length is None else length / ratio
    last: int | None = None
    for place in reversed(range(len(new))):
        if length is not None and old_length is not None and sorted(milestones)[place] < old_length:
            new[place] = min(new[place], length - 1)
        if last is not None:
            new[place] = min(new[place], last - 1)
        last = new[place]
    return [one for one in new if one >= 1]


def _periods(periods: Collection[int], ratio: float) -> list[int]:
    """Lengths whose sums are rounded, so that the last ends where it should."""
    ends, total = [0], 0
    for period in periods:
        total += period
        ends.append(max(round(total * ratio), ends[-1] + 1))
    return [after - before for before, after in pairwise(ends)]


def scale_rates(node: object, factor: float, fixed: Collection[str] = (), changes: Changes | None = None) -> None:
    """Learning rates that schedulers name as numbers, not as shares of the optimizer's, times `factor`, in place.

    Args:
        node: a config's `param_scheduler`.
        fixed: keys that stay, such as 'param_scheduler.1.eta_min' or 'param_scheduler'.
    """
    changes = Changes() if changes is None else changes
    for key, scheduler in schedulers(node):
        for field in ('eta_min', 'eta_max', 'min_value'):
            value = scheduler.get(field)
            if parameter(scheduler) == 'lr' and value and not covered(f'{key}.{field}', fixed):
                new = [one * factor for one in value] if isinstance(value, list | tuple) else value * factor
                changes.set(scheduler, field, new, f'{type_name(scheduler)} {field}')


def covered(key: str, keys: Collection[str]) -> bool:
    """Whether setting one of `keys` sets this one: it is one of them or inside one."""
    return any(key == one or key.startswith(f'{one}.') for one in keys)


def described(node: object) -> str:
    """The schedule in a line, the same text for the same schedule."""
    texts = []
    for _, scheduler in schedulers(node):
        fields = {name: value for name, value in scheduler.items() if name not in ('type', '_scope_', 'verbose')}
        inside = ', '.join(f'{name}={_plain(value)}' for name, value in sorted(fields.items()))
        texts.append(f'{type_name(scheduler)}({inside})')
    return '; '.join(texts) or 'constant'


def _plain(value: object) -> object:
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value

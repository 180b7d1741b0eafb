"""Schedules that do not fit their run: said in the log, each in a line that names scheduler, its end and the run's."""

from collections.abc import Iterator

from swin_mmdet.config import type_name
from swin_mmdet.engine.schedules import by_epoch, end_of, end_of_warm_up, is_warm_up, parameter, schedulers
from swin_mmdet.engine.warm_up import MOST

# of the run; a schedule within it of the end is meant to end with it
CLOSE = 0.1
# the last milestone of published recipes lies at 11/12 or 33/36 of the run, the earliest of them beyond a half
EARLY_MILESTONE = 0.5
# what they are at the end is the purpose of their course
TO_THE_END = ('CosineAnnealing', 'Linear', 'Poly', 'OneCycle')


def schedule_problems(node: object, epoch_length: int, iterations: int, run_by_epoch: bool) -> list[str]:
    """A sentence about each scheduler of a config's `param_scheduler` that ends well before or after the run.

    Args:
        epoch_length: iterations of an epoch.
        iterations: of the run.
        run_by_epoch: whether the run counts epochs.
    """
    found = list(schedulers(node))
    run = _Run(epoch_length, iterations, run_by_epoch)
    problems = [text for key, scheduler in found for text in run.problems(key, scheduler)]
    # of several for one parameter, each may take over where another ended
    for group in {(key.rpartition('.')[0], parameter(scheduler)) for key, scheduler in found}:
        members = [
            (key, one) for key, one in found
            if (key.rpartition('.')[0], parameter(one)) == group and not is_warm_up(one) and run.steps(one)
        ]  # fmt: skip
        if members:
            problems += run.early(*max(members, key=lambda member: run.last(member[1])))
    return problems


class _Run:
    def __init__(self, epoch_length: int, iterations: int, run_by_epoch: bool) -> None:
        self.epoch_length, self.iterations, self.run_by_epoch = epoch_length, iterations, run_by_epoch

    def steps(self, scheduler: dict) -> bool:
        """Whether it ever acts: mmengine's loop of iterations is one epoch."""
        return self.run_by_epoch or not by_epoch(scheduler) or bool(scheduler.get('convert_to_iter_based'))

    def unit(self, scheduler: dict) -> int:
        return self.epoch_length if by_epoch(scheduler) else 1

    def last(self, scheduler: dict) -> int:
        """The iteration where it ends."""
        end = end_of(scheduler)
        return self.iterations if end is None else end * self.unit(scheduler)

    def at(self, count: int, scheduler: dict) -> str:
        return f'{"epoch" if by_epoch(scheduler) else "iteration"} {count}'

    def ends(self, scheduler: dict) -> str:
        return f'the run at {self.at(self.iterations // self.unit(scheduler), scheduler)}'

    def problems(self, key: str, scheduler: dict) -> Iterator[str]:
        name, end, unit = f'{type_name(scheduler)} ({key})', end_of(scheduler), self.unit(scheduler)
        begin = scheduler.get('begin', 0)
        if not self.steps(scheduler):
            yield f'{name} counts epochs and the run iterations: it never acts; set by_epoch=False and its counts'
            return
        if begin * unit >= self.iterations:
            yield f'{name} begins at {self.at(begin, scheduler)}, {self.ends(scheduler)}: it never acts'
            return
        if is_warm_up(scheduler):
            share, end = self.last(scheduler) / self.iterations, end_of_warm_up(scheduler)
            if share > MOST:
                yield f'{name} warms up until {self.at(end, scheduler)}, {self.ends(scheduler)}: {share:.0%} of the run'
            return
        if (
            end is not None
            and type_name(scheduler).startswith(TO_THE_END)
            and end * unit > (1 + CLOSE) * self.iterations
        ):
            yield f'{name} ends at {self.at(end, scheduler)}, {self.ends(scheduler)}: it is cut off'
        late = [one for one in scheduler.get('milestones', ()) if one * unit >= self.iterations]
        if late:
            yield f'{name} has a milestone at {self.at(late[0], scheduler)}, {self.ends(scheduler)}: it never acts'
        yield from self._inner_length(name, scheduler)

    def _inner_length(self, name: str, scheduler: dict) -> Iterator[str]:
        """Lengths that a scheduler has beside its end."""
        unit = self.unit(scheduler)
        span = min(self.last(scheduler), self.iterations) // unit - scheduler.get('begin', 0)
        half, total, close = scheduler.get('T_max'), scheduler.get('total_steps'), max(CLOSE * span, 1)
        if half is not None and half < span - close:
            yield f'{name} turns after T_max={half} of its {span} {_units(scheduler)}: the value goes up again'
        elif half is not None and half > span + close:
            yield f'{name} has T_max={half} and acts for {span} {_units(scheduler)}: it does not come to its end'
        if total is not None and total < span:
            yield f'{name} has total_steps={total} and acts for {span} {_units(scheduler)}: it will stop with an error'
        elif total is not None and total > span + close:
            yield f'{name} has total_steps={total} and acts for {span} {_units(scheduler)}: it does not come to its end'

    def early(self, key: str, scheduler: dict) -> Iterator[str]:
        """What it says of the schedule, whose last scheduler it is."""
        name, end, unit = f'{type_name(scheduler)} ({key})', end_of(scheduler), self.unit(scheduler)
        if end is not None and end * unit < (1 - CLOSE) * self.iterations:
            yield f'{name} ends at {self.at(end, scheduler)}, {self.ends(scheduler)}: from there on the value stays'
            return
        milestones = [one for one in scheduler.get('milestones', ()) if one * unit < self.iterations]
        if milestones and max(milestones) * unit < EARLY_MILESTONE * self.iterations:
            at = self.at(max(milestones), scheduler)
            yield f'{name} has its last milestone at {at}, {self.ends(scheduler)}: from there on the value stays'


def _units(scheduler: dict) -> str:
    return 'epochs' if by_epoch(scheduler) else 'iterations'

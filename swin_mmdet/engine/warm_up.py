"""Warm-up that ends: a share of the run at most.

A warm-up counted in iterations was chosen for the iterations of the recipe's data: 500 or 1,000 of 88,000 and more on
COCO are 1 %. On 48 images they are more than the whole run. The longest shares of published recipes are about a tenth:
1/88 (detectron2's and mmdet's 1x), 5/300 epochs (YOLOX, DeiT), 20/300 (Swin's classification), 5/100 (MAE's and BEiT's
fine-tuning), a tenth (BERT's).
"""

from swin_mmdet.config import type_name
from swin_mmdet.config.changes import Changes
from swin_mmdet.engine.schedules import by_epoch, end_of, end_of_warm_up, is_warm_up, parameter, schedulers

SHARE = 0.1
# of a warm-up and a run in the same unit, which somebody has chosen together
MOST = 0.5


def bound_warm_up(node: object, epoch_length: int, iterations: int, run_by_epoch: bool) -> list[str]:
    """End warm-ups, in place, that would take more than `SHARE` of the run; a line about each.

    Those that count what the run counts stay: their share is part of the recipe.

    Args:
        node: a config's `param_scheduler`.
        epoch_length: iterations of an epoch.
        iterations: of the run.
        run_by_epoch: whether the run counts epochs.
    """
    lines = []
    for key, scheduler in list(schedulers(node)):
        if not is_warm_up(scheduler) or by_epoch(scheduler) == run_by_epoch:
            continue
        unit = epoch_length if by_epoch(scheduler) else 1
        end, limit = end_of_warm_up(scheduler), int(SHARE * iterations / unit)
        if end > limit:
            name = type_name(scheduler)
            unit_name = 'epoch' if by_epoch(scheduler) else 'iteration'
            ends = f'ends at {unit_name} {limit}' if shorten(scheduler, limit) else 'is left out'
            follow_warm_up(node, scheduler, end)
            lines.append(
                f'warm-up ({name}, {key}) {ends}, not {unit_name} {end}: '
                f'it is bounded by {SHARE:.0%} of the run of {iterations} iterations; set {key}.end to choose another'
            )
    return lines


def longest(share: float, length: int) -> int:
    """Where a warm-up may end in a run of another `length`, of which it had this share."""
    return int(max(SHARE, min(share, MOST)) * length)


def shorten(scheduler: dict, end: int) -> bool:
    """Let a warm-up end there, in place; False if nothing is left of it, and it keeps the value as it is."""
    if end >= 2 or (end == 1 and by_epoch(scheduler)):
        scheduler['end'] = end
        return True
    kind = 'ConstantMomentum' if parameter(scheduler) == 'momentum' else 'ConstantLR'
    counts = by_epoch(scheduler)
    scheduler.clear()
    # its place in the list is kept, in which a checkpoint's states are
    scheduler.update(type=kind, factor=1.0, begin=0, end=1, by_epoch=counts)
    return False


def is_left_out(scheduler: dict) -> bool:
    """Whether it is what `shorten` leaves of a warm-up of no length."""
    return type_name(scheduler).startswith('Constant') and scheduler.get('factor') == 1.0 and scheduler.get('end') == 1


def follow_warm_up(node: object, warm_up: dict, old_end: int) -> None:
    """Schedulers that began where a warm-up ended begin, in place, where it ends now."""
    for _, other in schedulers(node):
        begin = other.get('begin', 0)
        if other is warm_up or begin != old_end or by_epoch(other) != by_epoch(warm_up):
            continue
        whole = other.get('T_max') is not None and end_of(other) is not None and other['T_max'] == other['end'] - begin
        Changes().set(other, 'begin', warm_up['end'], 'begin')
        if whole:
            other['T_max'] = other['end'] - other['begin']

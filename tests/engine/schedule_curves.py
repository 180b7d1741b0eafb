"""The learning rates that mmengine's schedulers make, iteration by iteration."""

import copy

import torch
from mmengine.registry import PARAM_SCHEDULERS

from swin_mmdet.engine.schedules import by_epoch, end_of, schedulers


def rates(param_scheduler, iterations: int, epoch_length: int = 10, run_by_epoch: bool = False) -> list[float]:
    """Of an optimizer at 1.0, as mmengine's runner steps its schedulers."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.5)
    built = []
    for _, scheduler in schedulers(copy.deepcopy(param_scheduler)):
        if end_of(scheduler) is None:
            scheduler['end'] = iterations // epoch_length if by_epoch(scheduler) else iterations
        built.append(
            PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer, epoch_length=epoch_length))
        )
    found = []
    for iteration in range(iterations):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for one in built:
            if not one.by_epoch or (run_by_epoch and (iteration + 1) % epoch_length == 0):
                one.step()
    return found

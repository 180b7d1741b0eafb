"""Parts of a model that do not train, safe under DistributedDataParallel when done before it wraps the model."""

import re
from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn


def freeze(model: nn.Module, patterns: Sequence[str]) -> list[nn.Module]:
    """Take the gradient from the parameters that the patterns name, and log how many still train.

    A pattern is a regular expression for a parameter's name or for the start of it up to a dot: `neck`,
    `roi_head.bbox_head`, `backbone.stages.[01]`.

    Returns:
        The modules whose parameters are all frozen, for `FreezeHook` to keep in evaluation mode.

    Raises:
        ValueError: a pattern that matches nothing, with the names there are, or a model with nothing left to train.
    """
    parameters = dict(model.named_parameters())
    for pattern in patterns:
        matched = [name for name in parameters if re.fullmatch(rf'(?:{pattern})(?:\..+)?', name)]
        if not matched:
            names = sorted({'.'.join(name.split('.')[:depth]) for name in parameters for depth in (1, 2)})
            raise ValueError(f'{pattern!r} matches no parameter; there are {", ".join(names)}')
        for name in matched:
            parameters[name].requires_grad_(False)
    total = sum(parameter.numel() for parameter in parameters.values())
    trained = sum(parameter.numel() for parameter in parameters.values() if parameter.requires_grad)
    if not trained:
        raise ValueError(f'nothing is left to train with {list(patterns)}')
    print_log(f'frozen: {", ".join(patterns)}; {trained:,} of {total:,} parameters train', 'current')
    return [module for module in model.modules() if _is_frozen(module)]


def _is_frozen(module: nn.Module) -> bool:
    gradients = [parameter.requires_grad for parameter in module.parameters()]
    return bool(gradients) and not any(gradients)


class FreezeHook(Hook):
    """Keeps modules in evaluation mode (statistics of BatchNorm, dropout) though the loop puts the model into training.

    Args:
        modules: as `freeze` returns them.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = modules

    def before_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        del runner, args, kwargs
        for module in self.modules:
            if module.training:
                module.eval()

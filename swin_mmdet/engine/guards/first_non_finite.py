"""Where NaN or infinity came into a model: for the message that ends a run."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


def weights_non_finite(model: nn.Module) -> str | None:
    """The name of the first parameter or buffer that holds one."""
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if value.is_floating_point() and not torch.isfinite(value).all():
            return f'the weights {name}'
    return None


def first_non_finite(model: nn.Module, data_batch: dict | None) -> str:
    """The module whose output held one first in a forward pass of this batch, in words."""
    found: list[str] = []

    def watch(name: str) -> object:
        def look(module: nn.Module, _: object, output: object) -> None:
            bad = any(value.is_floating_point() and not torch.isfinite(value).all() for value in tensors(output))
            if bad and not found:
                found.append(f'the output of {name or type(model).__name__} ({type(module).__name__})')

        return look

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules()]
    try:
        with torch.no_grad():
            model._run_forward(model.data_preprocessor(data_batch, True), mode='loss')
    # a batch that was changed in place may not be fit for a second pass
    except Exception as error:
        return f'a module that could not be found ({type(error).__name__} in another pass over the batch)'
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else 'the backward pass, as all outputs and losses are finite'


def tensors(node: object) -> Iterator[Tensor]:
    """Every tensor in nested dicts, lists and tuples."""
    if isinstance(node, Tensor):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from tensors(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from tensors(value)

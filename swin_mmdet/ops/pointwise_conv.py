"""Convolutions of 1 x 1 as matrix products, whose libraries need no plan for each new size of a map.

cuDNN makes a plan for every shape that it meets, forward and backward: about 20 ms for one layer of 1 x 1 on an H200,
where cuBLAS takes 2 ms (`tools/benchmarks/new_sizes.py`). Both take the same time afterwards.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from swin_mmdet.ops.memory_format import is_channels_last

PLAIN = {'stride': 1, 'padding': 0, 'dilation': 1, 'groups': 1}


class PointwiseProducts(TorchFunctionMode):
    """Within this context 1 x 1 convolutions of maps with channels innermost are products, of the same result."""

    def __torch_function__(
        self, function: Callable, _types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Called by torch in place of `function`."""
        kwargs = kwargs or {}
        if function is torch.conv2d and _is_product(*args, **kwargs):
            return _product(*args[:3], **{name: x for name, x in kwargs.items() if name not in PLAIN})
        return function(*args, **kwargs)


def _is_product(input: Tensor, weight: Tensor, bias: Tensor | None = None, *options: Any, **named: Any) -> bool:
    del bias
    given = dict(zip(PLAIN, options, strict=False)) | named
    return (
        weight.shape[2:] == (1, 1)
        and input.ndim == 4
        and is_channels_last(input)
        and all(given.get(name, value) in (value, (value, value)) for name, value in PLAIN.items())
    )


def _product(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.linear(input.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)

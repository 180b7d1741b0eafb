"""Batch norm whose statistics are of some samples alone, without asking a device which."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class StatisticsOf(TorchFunctionMode):
    """Within this context batch norms in training take mean and variance of the samples that are used.

    The others are normalised with them too. Arithmetic is in float32.

    Args:
        used: [N] bool, of the N samples that every batch norm within the context is given; at least one.
    """

    def __init__(self, used: Tensor) -> None:
        super().__init__()
        self.used = used

    def __torch_function__(
        self, function: Callable, _types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Called by torch in place of `function`."""
        kwargs = kwargs or {}
        if function is not F.batch_norm:
            return function(*args, **kwargs)
        return self._batch_norm(*args, **kwargs)

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
        axes = [0, *range(2, x.ndim)]
        shape = [1, -1, *[1] * (x.ndim - 2)]
        wide = x.float()
        used = self.used.view(-1, *[1] * (x.ndim - 1)).to(wide.dtype)
        count = self.used.sum() * (x[0, 0].numel() if len(x) else 1)
        mean = (wide * used).sum(axes) / count
        centred = wide - mean.view(shape)
        var = (centred.square() * used).sum(axes) / count
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                unbiased = var * (count / (count - 1).clamp(min=1))
                running_var.lerp_(unbiased.to(running_var.dtype), momentum)
        scale = (var + eps).rsqrt()
        if weight is not None:
            scale = scale * weight
        out = centred * scale.view(shape)
        return (out if bias is None else out + bias.view(shape)).to(x.dtype)

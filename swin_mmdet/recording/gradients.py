"""The gradients of a training step, and their mean over processes."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

# elements: vectorised kernels of optimizers read 16 bytes at a time
ALIGNMENT = 64


class Gradients:
    """Memory for those of a model, laid out as its parameters are, which optimizers ask for.

    Args:
        trained: parameters of one dtype on one device, each without gaps in memory.
        group: processes that train the same model, each with its share of a batch.
    """

    def __init__(self, trained: Sequence[Tensor], group: dist.ProcessGroup | None = None) -> None:
        self._group = group
        starts = [0]
        for x in trained:
            starts.append(starts[-1] + -(-x.numel() // ALIGNMENT) * ALIGNMENT)
        self._all = trained[0].new_zeros(starts[-1])
        self._own = [
            self._all.as_strided(x.shape, x.stride(), start) for x, start in zip(trained, starts, strict=False)
        ]

    def keep(self, given: Sequence[Tensor | None]) -> list[Tensor | None]:
        """Copies of gradients, at one address each until the next are kept.

        None stays so, but zeros where there are other processes: these may have one.
        """
        pairs = [(own, x) for own, x in zip(self._own, given, strict=True) if x is not None]
        if self._group is not None and len(pairs) < len(given):
            torch._foreach_zero_([own for own, x in zip(self._own, given, strict=True) if x is None])
        if pairs:
            torch._foreach_copy_([own for own, _ in pairs], [x for _, x in pairs])
        if self._group is not None:
            return list(self._own)
        return [None if x is None else own for own, x in zip(self._own, given, strict=True)]

    def average(self) -> None:
        """What is kept becomes the mean over the processes, as with DistributedDataParallel; all of them call this."""
        if self._group is not None:
            dist.all_reduce(self._all, group=self._group)
            self._all.div_(dist.get_world_size(self._group))

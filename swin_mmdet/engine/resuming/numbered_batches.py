"""Batches whose random numbers follow from their place in the run, not from what was read before them.

A worker's generator goes on from sample to sample, so a run that goes on from a checkpoint would have to read again all
that was trained on. With numbers it begins at any batch at once, with any number of workers, and sees the same images
with the same augmentations.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler, get_worker_info

from swin_mmdet.engine.loader_workers import keep_workers

# arguments of a loader that it keeps
OPTIONS = (
    *('num_workers', 'collate_fn', 'pin_memory', 'pin_memory_device', 'timeout', 'worker_init_fn'),
    *('multiprocessing_context', 'prefetch_factor', 'persistent_workers'),
)


class Draw(NamedTuple):
    """A sample that is asked for: its index in the data set, and where its random numbers begin."""

    index: Any
    seed: tuple[int, ...]


class NumberedBatches:
    """Takes the place of a loader's sampler of batches: its indices are `Draw`s.

    Args:
        batches: the sampler of batches.
        seed: of the run and of this process.
        endless: go on with the next pass over the data where one ends, without an end of the loader's workers.
    """

    def __init__(self, batches: BatchSampler, seed: tuple[int, ...], endless: bool) -> None:
        self.batches, self.seed, self.endless = batches, seed, endless
        self._number = self._skipped = 0

    def begin(self, number: int, skipped: int) -> None:
        """The number of the next batch to give, after so many that are left out."""
        self._number, self._skipped = number, skipped

    def __iter__(self) -> Iterator[list[Draw]]:
        first = self._number
        batches = islice(self._passes() if self.endless else self.batches, self._skipped, None)
        for number, batch in enumerate(batches, first):
            yield [Draw(index, (*self.seed, number, place)) for place, index in enumerate(batch)]

    def _passes(self) -> Iterator[list]:
        for epoch in count():
            if hasattr(self.batches.sampler, 'set_epoch'):
                self.batches.sampler.set_epoch(epoch)
            batch = None
            for batch in self.batches:
                yield batch
            if batch is None:
                raise ValueError('the training data have no batch: fewer images than train_dataloader.batch_size?')

    def __len__(self) -> int:
        return len(self.batches)

    @property
    def sampler(self) -> Sampler:
        return self.batches.sampler

    @property
    def batch_size(self) -> int:
        return self.batches.batch_size


class SeededReading:
    """What PyTorch's loaders ask for the samples of a batch, as `dataset.__getitems__`."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, draws: list[Draw]) -> list:
        # a worker has no other use for its generators
        with nullcontext() if get_worker_info() else generators_kept():
            return [self._read(draw) for draw in draws]

    def _read(self, draw: Draw | Any) -> Any:
        if not isinstance(draw, Draw):
            # another loader of the same data set
            return self.dataset[draw]
        words = np.random.SeedSequence(draw.seed).generate_state(3)
        random.seed(int(words[0]))
        np.random.seed(words[1])
        # not torch.manual_seed: that of a GPU is the model's
        torch.default_generator.manual_seed(int(words[2]))
        return self.dataset[draw.index]


class NumberedLoader(DataLoader):
    """Reads the batches of another loader, numbered; it draws nothing from PyTorch's generator of this process.

    Args:
        loader: of a data set by index, in batches.
        seed: of the run and of this process.
        endless: see `NumberedBatches`.
    """

    def __init__(self, loader: DataLoader, seed: tuple[int, ...], endless: bool) -> None:
        loader.dataset.__getitems__ = SeededReading(loader.dataset)
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        super().__init__(
            loader.dataset,
            batch_sampler=NumberedBatches(loader.batch_sampler, seed, endless),
            generator=generator,
            **{name: getattr(loader, name) for name in OPTIONS},
        )
        keep_workers(self)

    def __iter__(self) -> Iterator[dict]:
        # when the first batch is asked for: mmengine's loop asks for the iterator before it knows where a run begins
        yield from super().__iter__()


@contextmanager
def generators_kept() -> Iterator[None]:
    """Python's, numpy's and PyTorch's generators of the CPU go on afterwards as if nothing had been drawn."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])

"""Whether a training step fits into the memory of a GPU: steps of the real model on the largest images of the data."""

import copy
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from swin_mmdet.analysis import build_without_weights
from swin_mmdet.config import nodes, type_name
from swin_mmdet.datasets.image_scale import largest_sizes
from swin_mmdet.engine.device import adapt_to_device
from swin_mmdet.engine.frozen_parts import freeze
from swin_mmdet.fitting.statistics import Statistics

# of the free memory, for what a run has besides: fragments, kernels' own memory, other sizes of images, evaluation
LEFT_OVER = 0.1
# the optimizer has its moments after the first, a recorded step its memory after the third
STEPS = 3
# of a pipeline that crops or mixes at random
DRAWS = 6


class Trial:
    """Called with a number of images: whether training steps of as many fit into what is free of the GPU.

    The images are those of the data that take most: with the most objects, the widest and the highest, at the largest
    size that the recipe's pipeline makes.

    Args:
        cfg: with all options that take memory merged; stays as it is.
        data: of its training images.
        device: 'cuda', or 'cpu', where everything fits.
    """

    def __init__(self, cfg: Config, data: Statistics, device: str) -> None:
        self.cfg, self.device = copy.deepcopy(cfg), device
        self.cfg.launcher = 'none'
        adapt_to_device(self.cfg, device)
        init_default_scope(self.cfg.get('default_scope') or 'mmdet')
        self.samples = worst_samples(self.cfg, data)

    def __call__(self, images: int) -> bool:
        with limited_memory(self.device):
            try:
                self._train(images)
            except torch.OutOfMemoryError:
                fits = False
            else:
                fits = True
        # here no frame holds the memory of the steps
        gc.collect()
        if self.device == 'cuda':
            torch.cuda.empty_cache()
        return fits

    def _train(self, images: int) -> None:
        model = build_without_weights(copy.deepcopy(self.cfg)).to(self.device)
        model.train()
        averages = [copy.deepcopy(model) for _ in self._averaging_hooks()]
        with quiet():
            if patterns := self.cfg.get('frozen_parts'):
                freeze(model, patterns)
            wrapper = build_optim_wrapper(model, copy.deepcopy(self.cfg.optim_wrapper))
        for _ in range(STEPS):
            model.train_step(self._batch(images), wrapper)
        del averages

    def _averaging_hooks(self) -> Iterator[dict]:
        return (hook for hook in nodes(self.cfg.get('custom_hooks')) if type_name(hook).endswith('EMAHook'))

    def _batch(self, images: int) -> dict:
        chosen = [copy.deepcopy(self.samples[index % len(self.samples)]) for index in range(images)]
        return {key: [sample[key] for sample in chosen] for key in chosen[0]}


def worst_samples(cfg: Config, data: Statistics) -> list[dict]:
    """What the pipeline makes of the images that take most memory, the one with the most objects first.

    Where a sampler joins images of like shapes, those of the other shape are left out.
    """
    from mmdet.registry import DATASETS

    settings = copy.deepcopy(cfg.train_dataloader.dataset)
    largest_sizes(settings)
    dataset = DATASETS.build(settings)
    width, height = data.image_sizes.T
    ratio = width / height
    places = list(dict.fromkeys(
        int(order.argmax()) for order in (data.objects, np.minimum(ratio, 1) * width * height, ratio, -ratio)
    ))  # fmt: skip
    drawn = [
        max((_sample(dataset, place) for _ in range(DRAWS)), key=_pixels) for place in places if place < len(dataset)
    ]
    if 'AspectRatio' in type_name(cfg.train_dataloader.get('batch_sampler')):
        wide = _is_wide(max(drawn, key=_pixels))
        drawn = [sample for sample in drawn if _is_wide(sample) == wide]
    return drawn


def _sample(dataset: object, place: int) -> dict:
    while (sample := dataset[place]) is None:  # type: ignore[index]
        place = (place + 1) % len(dataset)  # type: ignore[arg-type]
    return sample


def _pixels(sample: dict) -> int:
    return sample['inputs'].shape[-1] * sample['inputs'].shape[-2]


def _is_wide(sample: dict) -> bool:
    return sample['inputs'].shape[-1] > sample['inputs'].shape[-2]


@contextmanager
def limited_memory(device: str) -> Iterator[None]:
    """Steps may take what is free of the GPU, less a share that is left over."""
    if device != 'cuda':
        yield
        return
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info()
    usable = (free + torch.cuda.memory_reserved()) * (1 - LEFT_OVER)
    torch.cuda.set_per_process_memory_fraction(usable / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the lines that a run writes once it begins."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')
    try:
        yield
    finally:
        logger.setLevel(level)


def make_trial(cfg: Config, data: Statistics, device: str) -> Callable[[int], bool] | None:
    """One for this device; None where batches are not tried."""
    return Trial(cfg, data, device) if device == 'cuda' else None

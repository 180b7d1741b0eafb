"""What is changed most in a training, each with everything that depends on it (see swin_mmdet/engine/everyday.py)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EverydayOptions:
    """None leaves what the config says.

    Attributes:
        epochs: length of the run in passes over the data, whatever the config counts.
        iters: length of the run in steps of the optimizer; one of both.
        batch_size: images of an iteration in each process; the learning rate is scaled from the recipe's batch.
        lr: learning rate of the optimizer, used as it is.
        img_scale: size of test images, both sides or the short one; training keeps its ratios to it.
        workers: processes that read images, for each dataloader.
        seed: of all random numbers.
    """

    epochs: int | None = None
    iters: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    img_scale: tuple[int, ...] | None = None
    workers: int | None = None
    seed: int | None = None

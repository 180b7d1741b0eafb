"""The images of a step: on a GPU as many as fit, found by trying, up to the recipe's batch; on a CPU by a rule.

More than the recipe's batch is not taken, however much memory there is: the learning rate was found for it, and small
data would have few steps. For the same reason a batch has at most an eighth of the images.
"""

from collections.abc import Callable

from mmengine.config import Config

from swin_mmdet.errors import UserError
from swin_mmdet.fitting.setting import Setting

SHARE_OF_IMAGES = 8
NAME, OPTION = 'batch', '--batch-size'


def batch_limit(cfg: Config, images: int) -> tuple[int, str]:
    """The largest batch that is wanted, and why."""
    recipe = (cfg.get('auto_scale_lr') or {}).get('base_batch_size') or batch_of(cfg)
    share = max(images // SHARE_OF_IMAGES, 1)
    if share < recipe:
        return share, f'an eighth of {images} images'
    return recipe, "the recipe's batch"


def batch_of(cfg: Config) -> int:
    """Images of an iteration, as the config has them."""
    loader = cfg.train_dataloader
    return loader.get('batch_size') or (loader.get('batch_sampler') or {}).get('batch_size') or 1


def largest_batch(fits: Callable[[int], bool], most: int) -> int:
    """The largest number up to `most` that fits, 0 if one does not: doubled, then halved in between.

    Args:
        fits: whether a batch does; what is larger than one that does not does not either.
    """
    good, tried = 0, 1
    while fits(tried):
        good = tried
        if tried == most:
            return good
        tried = min(2 * tried, most)
    bad = tried
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def fit_batch_size(cfg: Config, images: int, trial: Callable[[int], bool] | None) -> tuple[Setting, int]:
    """The setting, and the images of a step. The config stays as it is.

    Args:
        images: of the training data.
        trial: whether a training step of so many images fits into the memory of the GPU; None on a CPU, where a batch
            saves no time: there it is what the recipe gives to each GPU.

    Raises:
        UserError: not a single image fits.
    """
    before = batch_of(cfg)
    most, limit = batch_limit(cfg, images)
    if trial is None:
        batch = min(before, most)
        reason = 'nothing is tried without a GPU: ' + (
            limit if batch == most < before else 'what the recipe gives to a GPU'
        )
        return Setting(NAME, str(before), str(batch), reason, OPTION), batch
    tried: list[int] = []

    def fits(number: int) -> bool:
        tried.append(number)
        return trial(number)

    batch = largest_batch(fits, most)
    if not batch:
        raise UserError(
            'the GPU is too small for a training step of this model with one image: take smaller images (--img-scale), '
            'activation checkpointing (--cfg-options model.backbone.with_cp=True) or a smaller model (--list)'
        )
    found = f'{limit}, which fits' if batch == most else f'the most that fits into the memory of the GPU, of {most}'
    reason = f'{found}; tried {", ".join(map(str, tried))}'
    return Setting(NAME, str(before), str(batch), reason, OPTION), batch

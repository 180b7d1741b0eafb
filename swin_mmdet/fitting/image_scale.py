"""The size of images: the recipe's, unless images or objects call for another.

What is looked at is how large things are once a recipe has resized its test images:

- Objects too small. If a tenth of them is smaller than `SMALL` pixels, three cells of the finest map, images get larger
  until these are not, up to `MOST` times the sides of the recipe (more than twice its pixels).
- Images blown up. If half of them are enlarged more than `ENLARGED` times, pixels are computed that nobody has seen:
  images get smaller until they are enlarged that much, but not so far that a tenth of the objects falls below `EASY`
  pixels, and not below `LEAST`.

Everything else stays at the recipe's size, for which its weights, anchors and learning rate were chosen.
"""

import copy
import math

import numpy as np
from mmengine.config import Config

from swin_mmdet.datasets.image_scale import STEP, set_image_scale
from swin_mmdet.errors import UserError
from swin_mmdet.fitting.resize import Resized, in_words, resized
from swin_mmdet.fitting.setting import Setting
from swin_mmdet.fitting.statistics import Statistics

SMALL, EASY = 12, 32
MOST, LEAST = 1.5, 256
ENLARGED = 2.0
FEW = 0.1
NAME, OPTION = 'image scale', '--img-scale'


def fit_image_scale(cfg: Config, data: Statistics) -> tuple[Setting, tuple[int, ...] | None]:
    """The setting, and the short side for `set_image_scale` where it changes. The config stays as it is."""
    try:
        now = resized(cfg, data)
    except UserError as error:
        return Setting(NAME, 'as it is', 'as it is', str(error).removeprefix('--img-scale: '), OPTION), None
    old = in_words(now.scale)
    factor, reason = wanted_factor(now)
    wanted = rounded(min(now.scale), factor)
    if wanted == min(now.scale):
        return Setting(NAME, old, old, reason, OPTION), None
    try:
        set_image_scale(changed := copy.deepcopy(cfg), (wanted,))
    except UserError as error:
        why = str(error).partition(': ')[2]
        return Setting(NAME, old, old, f'{reason}, but {why}', OPTION), None
    after = resized(changed, data)
    side = np.quantile(after.sides, FEW)
    return Setting(NAME, old, in_words(after.scale), f'{reason}; now {side:.0f} px', OPTION), (wanted,)


def wanted_factor(now: Resized) -> tuple[float, str]:
    """By how much the sides of the recipe are to change, and why."""
    few, enlarged = float(np.quantile(now.sides, FEW)), float(np.median(now.factors))
    objects = f'a tenth of the objects is smaller than {few:.0f} px in it'
    if few < SMALL:
        factor = min(SMALL / max(few, 1), MOST)
        advice = '' if few * factor >= SMALL else (
            f'; {MOST:g} times the sides is the most, cut large images into tiles if these matter'
        )  # fmt: skip
        return factor, objects + advice
    if enlarged > ENLARGED and few > EASY:
        smallest = max(EASY / few, LEAST / min(now.scale))
        reason = f'half of the images are enlarged {enlarged:.2g} times, and {objects}'
        return min(max(ENLARGED / enlarged, smallest), 1.0), reason
    return 1.0, f'{objects}, and half of the images are enlarged {enlarged:.2g} times or more'


def rounded(side: int, factor: float) -> int:
    """The side in the new size, a multiple of the coarsest stride between both; the same side where they are near."""
    steps = side * factor / STEP
    return side if abs(side * factor - side) < STEP else (math.floor(steps) if factor > 1 else math.ceil(steps)) * STEP

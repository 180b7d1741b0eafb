"""Anchors from the boxes: how many of these an anchor meets, and scales and ratios that meet more of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray

from swin_mmdet.config import keyed_nodes, type_name
from swin_mmdet.config.changes import shown
from swin_mmdet.engine.schedules import covered
from swin_mmdet.fitting.resize import Resized
from swin_mmdet.fitting.setting import Setting, set_by_user

# a box is covered by an anchor of this IoU: from there on regression is asked for little
MEETS = 0.5
# Anchors that cover so many boxes stay. Others must leave at most half as many out, or cover a tenth more: of COCO,
# for which the recipes were made, their anchors leave out 14 % (RetinaNet) to 51 % (the squares of ATSS), and no others
# less than 0.6 times as many
GOOD, LEFT_OUT, GAIN = 0.95, 0.5, 0.1
MOST_BOXES = 10_000
# half octaves around the recipe's scale
STEPS = range(-6, 5)
# ratios that are nearer to each other are one
NEAR = 1.2


@dataclass(frozen=True)
class Anchors:
    """Boxes of a generator around each point of a map.

    Attributes:
        strides: of the maps.
        scales: sides of the squares in strides.
        ratios: height over width.
        offset: of the points, in strides.
    """

    strides: tuple[int, ...]
    scales: tuple[float, ...]
    ratios: tuple[float, ...]
    offset: float = 0.0

    def sizes(self, stride: int) -> NDArray[np.float64]:
        """[anchors, 2], width and height in pixels."""
        roots = np.sqrt(np.array(self.ratios, float))
        shapes = np.stack([1 / roots, roots], axis=1)
        return (stride * np.array(self.scales, float)[:, None, None] * shapes).reshape(-1, 2)


def best_overlaps(boxes: NDArray, sizes: NDArray, anchors: Anchors) -> NDArray[np.float64]:
    """The IoU of each box with the anchor that meets it best, at any point of any map.

    The overlap with an anchor of one shape only falls with the distance of the centers, in x and in y: the nearest
    point has the best one, so the others need not be looked at.

    Args:
        boxes: [boxes, 4], corners in pixels of the padded image.
        sizes: [boxes, 2], width and height of that image.

    Returns:
        [boxes]
    """
    best = np.zeros(len(boxes))
    wanted = boxes[:, 2:] - boxes[:, :2]
    centers = (boxes[:, 2:] + boxes[:, :2]) / 2
    for stride in anchors.strides:
        last = np.ceil(sizes / stride) - 1
        points = (np.round(centers / stride - anchors.offset).clip(0, last) + anchors.offset) * stride
        for size in anchors.sizes(stride):
            low = np.maximum(boxes[:, :2], points - size / 2)
            high = np.minimum(boxes[:, 2:], points + size / 2)
            shared = (high - low).clip(0).prod(axis=1)
            joined = wanted.prod(axis=1) + size.prod() - shared
            best = np.maximum(best, shared / joined)
    return best


def coverage(overlaps: NDArray) -> float:
    """The share of boxes that an anchor meets."""
    return float(np.mean(overlaps >= MEETS))


def fit_anchors(cfg: Config, data: Resized, explicit: Sequence[str] = ()) -> list[Setting]:
    """Let the anchors of every head cover the boxes, in place; those that do already stay.

    All scales of a generator change by one factor, and its ratios, three or more, become those of the boxes: the number
    of anchors at a point, and so the shape of the weights, stays.

    Args:
        explicit: keys that the user set, which stay as they are.
    """
    settings = []
    for key, generator in keyed_nodes(cfg.model, 'model'):
        kind = type_name(generator)
        if not kind.endswith('AnchorGenerator') or 'strides' not in generator:
            continue
        name = f'anchors of {key.removeprefix("model.").removesuffix(".anchor_generator")}'
        option = f'--cfg-options {key}...'
        if covered(key, explicit) or any(one.startswith(f'{key}.') for one in explicit):
            settings.append(set_by_user(name, _in_words(generator), '--cfg-options'))
        elif kind != 'AnchorGenerator' or (anchors := read_anchors(generator)) is None:
            settings.append(Setting(name, kind, kind, 'generators of this kind are left as they are', option))
        else:
            settings.append(_fit_generator(generator, anchors, data, name, option))
    return settings


def read_anchors(generator: dict) -> Anchors | None:
    """Those of the config of an `AnchorGenerator`, None where they do not follow its strides."""
    strides = generator['strides']
    if generator.get('base_sizes') or generator.get('centers') or not all(isinstance(one, int) for one in strides):
        return None
    if generator.get('scales') is not None:
        scales = tuple(generator['scales'])
    else:
        number = generator['scales_per_octave']
        scales = tuple(generator['octave_base_scale'] * 2 ** (one / number) for one in range(number))
    return Anchors(tuple(strides), scales, tuple(generator['ratios']), generator.get('center_offset', 0.0))


def _fit_generator(generator: dict, anchors: Anchors, data: Resized, name: str, option: str) -> Setting:
    chosen = _sample(len(data.boxes))
    boxes, sizes = data.boxes[chosen], data.sizes[data.image_of[chosen]]
    old, before = _in_words(generator), coverage(best_overlaps(boxes, sizes, anchors))
    what = f'of the boxes (IoU of {MEETS} or more)'
    if before >= GOOD:
        return Setting(name, old, old, f'an anchor meets {before:.1%} {what}', option)
    tried = [(one, _score(best_overlaps(boxes, sizes, one))) for one in candidates(anchors, boxes) if one != anchors]
    found, after = max(tried, key=lambda pair: pair[1])
    if 1 - after[0] > LEFT_OUT * (1 - before) and after[0] < before + GAIN:
        reason = f'an anchor meets {before:.1%} {what}; the best of {len(tried)} others {after[0]:.1%}, too little more'
        return Setting(name, old, old, reason, option)
    _write(generator, found, anchors)
    reason = f'an anchor meets {after[0]:.1%} {what}, before {before:.1%}'
    return Setting(name, old, _in_words(generator), reason, option)


def candidates(anchors: Anchors, boxes: NDArray) -> Iterator[Anchors]:
    """Those of other scales, with the recipe's ratios and with those of the boxes; the recipe's own first."""
    sets = [anchors.ratios, *ratios_of(boxes, len(anchors.ratios))]
    for step in sorted(STEPS, key=abs):
        scales = tuple(float(f'{one * 2 ** (step / 2):.3g}') if step else one for one in anchors.scales)
        for ratios in sets:
            yield replace(anchors, scales=scales, ratios=ratios)


def ratios_of(boxes: NDArray, number: int) -> list[tuple[float, ...]]:
    """So many ratios, each the mean in logarithms of its boxes, to which it is nearest; none for few or like boxes."""
    sides = boxes[:, 2:] - boxes[:, :2]
    values = np.log(sides[:, 1] / sides[:, 0])
    if number < 3 or len(values) < 10 * number:
        return []
    centers = np.quantile(values, (np.arange(number) + 0.5) / number)
    for _ in range(100):
        nearest = np.abs(values[:, None] - centers).argmin(axis=1)
        moved = np.array([
            values[nearest == one].mean() if (nearest == one).any() else center for one, center in enumerate(centers)
        ])  # fmt: skip
        if np.allclose(moved, centers, atol=1e-6):
            break
        centers = moved
    if np.diff(centers).min() < np.log(NEAR):
        return []
    return [tuple(float(f'{ratio:.2g}') for ratio in np.exp(centers))]


def _score(overlaps: NDArray) -> tuple[float, float]:
    """An order: coverage, then how well the anchors fit."""
    return coverage(overlaps), float(overlaps.mean())


def _sample(number: int) -> NDArray[np.int64]:
    """Places of some boxes, the same each time."""
    if number <= MOST_BOXES:
        return np.arange(number)
    return np.sort(np.random.default_rng(0).choice(number, MOST_BOXES, replace=False))


def _write(generator: dict, new: Anchors, old: Anchors) -> None:
    if generator.get('scales') is not None:
        generator['scales'] = list(new.scales)
    else:
        generator['octave_base_scale'] = new.scales[0]
    if new.ratios != old.ratios:
        generator['ratios'] = list(new.ratios)


def _in_words(generator: dict) -> str:
    scales = generator.get('scales')
    text = shown(scales) if scales is not None else f'octaves from {shown(generator["octave_base_scale"])}'
    return f'scales {text}; ratios {shown(generator["ratios"])}'

"""Another size of images in a whole recipe: every resize, crop and pad of training and test, their ratios kept."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from swin_mmdet.config import nodes, type_name
from swin_mmdet.config.changes import Changes
from swin_mmdet.datasets.loaders import LOADERS
from swin_mmdet.errors import UserError

# transform or batch augmentation -> its arguments in pixels. In `WIDE` a pair is width and height (of a `Resize` that
# keeps the ratio the order is free), in `HIGH` it is height and width, in `SHORT` each number is about short sides
WIDE = {
    'Resize': ('scale',),
    'FixScaleResize': ('scale',),
    'RandomResize': ('scale',),
    'RandomChoiceResize': ('scales',),
    'MultiScaleFlipAug': ('img_scale', 'scales'),
    'Pad': ('size',),
    'Mosaic': ('img_scale',),
    'CachedMosaic': ('img_scale',),
    'MixUp': ('img_scale',),
    'CachedMixUp': ('img_scale',),
    'RandomAffine': ('border',),
    'BatchResize': ('scale',),
    'RandomCrop': ('crop_size',),
    'CenterCrop': ('crop_size',),
    'RandomCenterCropPad': ('crop_size',),
}
HIGH = {'BatchFixedSizePad': ('size',)}
SHORT = {'ResizeShortestEdge': ('scale',), 'BatchSyncRandomResize': ('random_size_range',)}
RELATIVE_CROPS = 'relative', 'relative_range'
# another library's transforms have sizes of their own
OPAQUE = 'Albu', 'Albumentations'
# of any other transform that looks as if it were in pixels
SUSPICIOUS = ('scale', 'scales', 'img_scale', 'size', 'crop_size', 'img_size', 'input_size')
STEP = 32  # stride of the coarsest map, of which fixed sizes are multiples
LEAST, MOST = 32, 16384


@dataclass(frozen=True)
class ImageScale:
    """Ratios of a new size to a recipe's own, for pairs of pixels."""

    old: tuple[int, int]
    new: tuple[float, float]

    @property
    def long(self) -> float:
        return max(self.new) / max(self.old)

    @property
    def short(self) -> float:
        return min(self.new) / min(self.old)

    def pair(self, value: tuple[int, int], high: bool = False) -> tuple[int, int]:
        """A pair in the new size, width first or, where it is `high`, height first."""
        first, second = value
        if abs(first) != abs(second):
            factors = (self.long, self.short) if abs(first) > abs(second) else (self.short, self.long)
        elif self.old[0] == self.old[1]:
            # a square recipe takes the sides as they were given
            factors = (self.new[0] / self.old[0], self.new[1] / self.old[1])
            factors = factors[::-1] if high else factors
        else:
            factors = (self.short, self.short)
        return self._side(first, factors[0], first == second), self._side(second, factors[1], first == second)

    def side(self, value: int) -> int:
        """One number: a short side, or that of a square."""
        return self._side(value, self.short, False)

    def _side(self, side: int, factor: float, square: bool) -> int:
        exact = side * factor
        if square and side % STEP == 0 and exact != int(exact):
            # the fixed size of a recipe whose test has another
            return max(round(exact / STEP), 1) * STEP
        return int(math.copysign(max(round(abs(exact)), 1), exact))


def set_image_scale(cfg: Config, wanted: tuple[int, ...]) -> Changes:
    """Train and test at another size, in place, with pipelines that hooks switch to and test-time augmentation.

    Args:
        wanted: the sides of the test images, which keep their ratio: both, or the short one.

    Raises:
        UserError: sizes that no image can have, or a recipe whose sizes cannot be told or do not follow.
    """
    old = scale_of_test(cfg)
    short = min(old)
    exact: tuple[float, float] = (wanted[0], wanted[1]) if len(wanted) == 2 else (
        old[0] * wanted[0] / short, old[1] * wanted[0] / short
    )  # fmt: skip
    text = 'x'.join(str(side) for side in wanted)
    if len(wanted) == 2 and old[0] != old[1]:
        # the order of a pair is free, as that of a recipe
        low, high = sorted(exact)
        exact = (high, low) if old[0] > old[1] else (low, high)
    new = round(exact[0]), round(exact[1])
    if not all(LEAST <= side <= MOST for side in new):
        raise UserError(f'--img-scale {text}: the sides of images lie between {LEAST} and {MOST} pixels')
    _refuse(cfg, new, text)
    if new == old:
        return Changes()
    scale, changes = ImageScale(old, exact), Changes([f'test images {_text(old)} -> {_text(new)}'])
    before: dict[str, list] = {}
    for node in _transforms(cfg):
        for name, value in list(_sizes(node, scale)):
            before.setdefault(type_name(node), []).append((node[name], value))
            node[name] = value
    for kind, pairs in before.items():
        # those of the test are said already
        if pairs := [pair for pair in pairs if tuple(_listed(pair[0])) != old]:
            first, last = (pick(pairs, key=lambda pair: _pixels(pair[0])) for pick in (min, max))
            changes.append(f'{kind} {_range(first[0], last[0])} -> {_range(first[1], last[1])}')
    for name in sorted(set(_unknown(cfg))):
        changes.append(f'{name} stays: it is not known what it means')
    return changes


def scale_of_test(cfg: Config) -> tuple[int, int]:
    """The size to which the config resizes test images, else those of training: the sides of a `Resize`."""
    for name in reversed(LOADERS):
        for node in nodes(cfg.get(name)):
            for kind, arguments in (*WIDE.items(), *SHORT.items()):
                if type_name(node) == kind and 'Resize' in kind and node.get(arguments[0]):
                    return _largest(node[arguments[0]])
            if type_name(node) == 'FixShapeResize':
                return node['width'], node['height']
    raise UserError('--img-scale: no pipeline of this config has a Resize whose scale is in pixels')


def largest_sizes(node: object) -> None:
    """Let random sizes in a part of a config be the largest that they can be, in place: for what takes most memory."""
    for one in nodes(node):
        for key in ('scale', 'scales'):
            # of one to choose, or of a range
            if isinstance(one.get(key), list | tuple) and isinstance(one[key][0], list | tuple):
                one[key] = [max(one[key], key=min)] * len(one[key])
        if one.get('ratio_range'):
            one['ratio_range'] = (max(one['ratio_range']),) * 2


def _largest(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    pairs = [value] if isinstance(value[0], int) else value
    return tuple(max(pairs, key=lambda pair: math.prod(pair) if isinstance(pair, list | tuple) else pair))


def _refuse(cfg: Config, new: tuple[int, int], text: str) -> None:
    """What cannot follow."""
    for node in nodes(cfg.get('model')):
        if node.get('input_size'):
            raise UserError(
                f'--img-scale {text}: {type_name(node)} of this model is made for input_size={node["input_size"]}'
            )
    for node in _transforms(cfg):
        if type_name(node) in OPAQUE:
            raise UserError(
                f'--img-scale {text}: {type_name(node)} has sizes of another library; set them in the config'
            )
    padded = [node for node in nodes(cfg.get('test_dataloader')) if type_name(node) == 'Pad' and node.get('size')]
    step = max([STEP, *_strides(cfg)])
    if padded and any(side % step for side in new):
        below = [max(side // step, 1) * step for side in new]
        near = [' '.join(str(side + more) for side in dict.fromkeys(below)) for more in (0, step)]
        raise UserError(
            f'--img-scale {text}: this recipe pads its images to that size, which must be a multiple of {step}: '
            f'take {" or ".join(near)}'
        )


def _strides(cfg: Config) -> Iterator[int]:
    """Those of the maps that the heads read."""
    for node in nodes(cfg.get('model')):
        yield from (stride for stride in node.get('strides') or () if isinstance(stride, int))


def _transforms(cfg: Config) -> Iterator[dict]:
    """Every transform and batch augmentation, also those that the config keeps under names of its own."""
    places = [cfg.get(name) for name in LOADERS]
    places += [hook for hook in nodes(cfg.get('custom_hooks')) if 'switch_pipeline' in hook]
    places += [cfg[name] for name in cfg if name.endswith('pipeline') or 'pipeline_stage' in name]
    places += [(cfg.get('model') or {}).get('data_preprocessor')]
    seen: set[int] = set()
    for place in places:
        for node in nodes(place):
            # the same dict may stand in several places
            if id(node) not in seen and 'type' in node:
                seen.add(id(node))
                yield node


def _sizes(node: dict, scale: ImageScale) -> Iterator[tuple[str, object]]:
    kind = type_name(node)
    if kind == 'FixShapeResize':
        yield from zip(('width', 'height'), scale.pair((node['width'], node['height'])), strict=True)
    if kind == 'ResizeShortestEdge' and node.get('max_size'):
        yield 'max_size', round(node['max_size'] * scale.long)
    if kind == 'RandomCrop' and node.get('crop_type') in RELATIVE_CROPS:
        return
    for table in (WIDE, HIGH, SHORT):
        for name in table.get(kind, ()):
            if node.get(name):
                # of such a crop each side lies between the two
                is_range = node.get('crop_type') == 'absolute_range'
                yield name, _scaled(node[name], scale, table is HIGH, table is SHORT or is_range)


def _scaled(value: Any, scale: ImageScale, high: bool, short: bool) -> Any:
    if isinstance(value, int):
        return scale.side(value)
    if isinstance(value[0], int):
        return type(value)(scale.side(side) for side in value) if short else type(value)(scale.pair(value, high))
    return type(value)(_scaled(one, scale, high, short) for one in value)


def _unknown(cfg: Config) -> Iterator[str]:
    known = {**WIDE, **HIGH, **SHORT}
    for node in _transforms(cfg):
        kind = type_name(node)
        if kind not in known and kind != 'FixShapeResize':
            for name in SUSPICIOUS:
                value = node.get(name)
                if _in_pixels(value):
                    yield f'{kind}.{name}={value}'


def _in_pixels(value: object) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(_in_pixels(one) for one in value)
    return isinstance(value, int) and value >= LEAST


def _listed(value: object) -> list:
    return list(value) if isinstance(value, list | tuple) else [value]


def _pixels(value: object) -> int:
    """An order of sizes: by the area of the largest."""
    sides = _listed(value)
    return max(map(_pixels, sides)) if isinstance(sides[0], list | tuple) else math.prod(sides)


def _range(first: object, last: object) -> str:
    """From the smallest size in `first` to the largest in `last`."""
    low, high = min(_single(first), key=_pixels), max(_single(last), key=_pixels)
    return _text(low) if low == high else f'{_text(low)}..{_text(high)}'


def _single(value: Any) -> list:
    nested = isinstance(value, list | tuple) and isinstance(value[0], list | tuple)
    return list(value) if nested else [value]


def _text(size: object) -> str:
    return 'x'.join(str(side) for side in _listed(size))

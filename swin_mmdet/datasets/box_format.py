"""Are the boxes of a file [x, y, width, height] in pixels? Told by their masks, areas and the borders of images."""

from dataclasses import dataclass

import numpy as np

CORNERS, CENTRES = 'corners', 'centres'
# a format is another one if so much of the evidence says so, and so much more of it than for COCO's
CERTAIN, MORE = 0.8, 0.2
# without masks or areas: so many boxes, so many of them over the border
FEWEST, BEYOND = 5, 0.1
ROUNDING = 2.0
SMALLEST_IMAGE = 8


@dataclass(frozen=True)
class BoxFormat:
    """What the four numbers are if not COCO's: `layout` 'corners', 'centres' or '', in fractions of the image or not.

    evidence: how that was recognised, in words.
    """

    layout: str
    fractions: bool
    evidence: str

    @property
    def words(self) -> str:
        """How such boxes are called."""
        layout = {CORNERS: '[x1, y1, x2, y2]', CENTRES: '[centre x, centre y, width, height]'}.get(self.layout)
        layout = layout or '[x, y, width, height]'
        return f'{layout} in fractions of the image' if self.fractions else layout


def box_format(boxes: np.ndarray, sizes: np.ndarray, masks: np.ndarray, areas: np.ndarray) -> BoxFormat | None:
    """None where nothing speaks against [x, y, width, height] in pixels.

    Args:
        boxes: [n, 4] as they stand in the file
        sizes: [n, 2], width and height of their images
        masks: [n, 4], corners of their masks, NaN where there is none
        areas: [n], NaN where there is none
    """
    if not len(boxes):
        return None
    fractions = bool((boxes >= 0).all() and (boxes <= 1).all() and (sizes.min(axis=1) >= SMALLEST_IMAGE).all())
    pixels = boxes * np.tile(sizes, 2) if fractions else boxes
    layout, evidence = _layout(pixels, sizes, masks, areas)
    if fractions:
        return BoxFormat(layout, True, 'none of their numbers is larger than 1')
    return BoxFormat(layout, False, evidence) if layout else None


def as_coco(boxes: np.ndarray, sizes: np.ndarray, found: BoxFormat) -> np.ndarray:
    """The boxes as [x, y, width, height] in pixels."""
    boxes = boxes * np.tile(sizes, 2) if found.fractions else boxes
    corners = _corners(boxes, found.layout)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def overlaps(corners: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU [n] of pairs of boxes; NaN where one has NaN."""
    sides = np.minimum(corners[:, 2:], others[:, 2:]) - np.maximum(corners[:, :2], others[:, :2])
    both = sides.clip(0).prod(axis=1)
    of_each = [(box[:, 2:] - box[:, :2]).clip(0).prod(axis=1) for box in (corners, others)]
    with np.errstate(invalid='ignore', divide='ignore'):
        return both / (of_each[0] + of_each[1] - both)


def corners_of(boxes: np.ndarray) -> np.ndarray:
    """Of COCO's boxes [n, 4]."""
    return _corners(boxes, '')


def _corners(boxes: np.ndarray, layout: str) -> np.ndarray:
    if layout == CORNERS:
        return boxes
    start = boxes[:, :2] - (boxes[:, 2:] / 2 if layout == CENTRES else 0)
    return np.concatenate([start, start + boxes[:, 2:]], axis=1)


def _layout(boxes: np.ndarray, sizes: np.ndarray, masks: np.ndarray, areas: np.ndarray) -> tuple[str, str]:
    """'' for COCO's, and the evidence for another."""
    for judge in (_by_masks, _by_areas):
        shares = judge(boxes, masks, areas)
        if shares is None:
            continue
        best = max((CORNERS, CENTRES), key=shares.__getitem__)
        if shares[best] >= CERTAIN and shares[best] > shares[''] + MORE:
            fit = 'masks' if judge is _by_masks else 'areas'
            return best, f'{shares[best]:.0%} of them fit their {fit} so, {shares[""]:.0%} as they stand'
        return '', ''
    return _by_borders(boxes, sizes)


def _by_masks(boxes: np.ndarray, masks: np.ndarray, areas: np.ndarray) -> dict[str, float] | None:
    """Of each format, the share of the boxes that lie where their masks do."""
    del areas
    known = ~np.isnan(masks).any(axis=1)
    if not known.any():
        return None
    ious = {layout: overlaps(_corners(boxes[known], layout), masks[known]) for layout in ('', CORNERS, CENTRES)}
    best = np.max(list(ious.values()), axis=0)
    return {layout: float(np.mean((iou >= 0.6) & (iou > best - 0.1))) for layout, iou in ious.items()}


def _by_areas(boxes: np.ndarray, masks: np.ndarray, areas: np.ndarray) -> dict[str, float] | None:
    """Of each format, the share of the boxes whose width x height is their area, if that is so of most in one."""
    del masks
    known = ~np.isnan(areas)
    if not known.any():
        return None
    shares = {}
    for layout in ('', CORNERS):
        corners = _corners(boxes[known], layout)
        sides = corners[:, 2:] - corners[:, :2]
        close = np.isclose(sides.clip(0).prod(axis=1), areas[known], rtol=0.02, atol=1)
        shares[layout] = float(np.mean(close & (sides > 0).all(axis=1)))
    # the centre does not change the area, so that it tells nothing of it
    return shares | {CENTRES: 0.0} if shares[CORNERS] >= CERTAIN else None


def _by_borders(boxes: np.ndarray, sizes: np.ndarray) -> tuple[str, str]:
    def inside(layout: str) -> np.ndarray:
        corners = _corners(boxes, layout)
        ordered = (corners[:, 2:] > corners[:, :2]).all(axis=1)
        return ordered & (corners[:, :2] >= -ROUNDING).all(axis=1) & (corners[:, 2:] <= sizes + ROUNDING).all(axis=1)

    beyond = 1 - inside('').mean()
    if len(boxes) < FEWEST or beyond <= BEYOND:
        return '', ''
    for layout in (CORNERS, CENTRES):
        if inside(layout).all():
            return layout, f'{beyond:.0%} of them reach beyond their images as they stand, none so'
    return '', ''

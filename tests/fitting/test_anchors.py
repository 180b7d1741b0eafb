"""Anchors from boxes: coverage against every anchor of mmdet's own generator, and what is kept or changed."""

import numpy as np
import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmengine.config import Config

from swin_mmdet.fitting.anchors import GOOD, best_overlaps, coverage, fit_anchors, ratios_of, read_anchors
from swin_mmdet.fitting.resize import Resized

RPN = dict(type='AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64])
RETINA = dict(
    type='AnchorGenerator', octave_base_scale=4, scales_per_octave=3, ratios=[0.5, 1.0, 2.0], strides=[8, 16, 32]
)
ATSS = dict(type='AnchorGenerator', ratios=[1.0], octave_base_scale=8, scales_per_octave=1, strides=[8, 16, 32])
WIDTH, HEIGHT = 320, 224


def random_boxes(number: int, low: float, high: float, ratio: float = 1.0, seed: int = 0) -> np.ndarray:
    """Within an image of WIDTH x HEIGHT, of sides between the two and shapes around `ratio`, height over width."""
    generator = np.random.default_rng(seed)
    side = np.exp(generator.uniform(np.log(low), np.log(high), number))
    shape = np.sqrt(ratio) * np.exp(generator.normal(0, 0.1, number))
    sides = np.stack([side / shape, side * shape], axis=1).clip(2, (WIDTH, HEIGHT))
    corner = generator.uniform(0, (WIDTH, HEIGHT) - sides)
    return np.concatenate([corner, corner + sides], axis=1)


def of_one_image(boxes: np.ndarray) -> Resized:
    size = np.array([[WIDTH, HEIGHT]], float)
    return Resized((WIDTH, HEIGHT), np.ones(1), size, boxes, np.zeros(len(boxes), int))


def overlaps_with_all(boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """[boxes], the best IoU with any of the anchors, one by one and in float64."""
    best = np.zeros(len(boxes))
    for left, top, right, bottom in anchors:
        width = np.minimum(boxes[:, 2], right) - np.maximum(boxes[:, 0], left)
        height = np.minimum(boxes[:, 3], bottom) - np.maximum(boxes[:, 1], top)
        shared = np.where((width > 0) & (height > 0), width * height, 0)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        best = np.maximum(best, shared / (areas + (right - left) * (bottom - top) - shared))
    return best


@pytest.mark.parametrize('generator', [RPN, RETINA, ATSS, dict(RPN, center_offset=0.5)])
def test_the_best_overlap_is_that_with_all_anchors_of_mmdet(generator: dict):
    boxes = np.concatenate([random_boxes(60, 6, 220, 1.0), random_boxes(40, 10, 90, 3.0, seed=1)])
    arguments = {key: value for key, value in generator.items() if key != 'type'}
    strides = generator['strides']
    maps = [(-(-HEIGHT // stride), -(-WIDTH // stride)) for stride in strides]
    every = AnchorGenerator(**arguments).grid_priors(maps, device='cpu')
    every = np.concatenate([level.numpy().astype(np.float64) for level in every])
    sizes = np.tile([WIDTH, HEIGHT], (len(boxes), 1))
    found = best_overlaps(boxes, sizes, read_anchors(generator))
    # mmdet's anchors are of float32
    np.testing.assert_allclose(found, overlaps_with_all(boxes, every), atol=2e-6)


def test_coverage_counts_the_boxes_that_an_anchor_meets():
    assert coverage(np.array([0.5, 0.49, 0.9, 0.0])) == 0.5


def fitted(generator: dict, boxes: np.ndarray, explicit: tuple = ()) -> tuple[dict, str]:
    cfg = Config(dict(model=dict(rpn_head=dict(anchor_generator=dict(generator)))))
    (setting,) = fit_anchors(cfg, of_one_image(boxes), explicit)
    return cfg.model.rpn_head.anchor_generator, str(setting)


def test_anchors_that_cover_the_boxes_stay():
    boxes = random_boxes(300, 40, 200)
    assert coverage(best_overlaps(boxes, np.tile([WIDTH, HEIGHT], (300, 1)), read_anchors(RPN))) >= GOOD
    generator, said = fitted(RPN, boxes)
    assert generator == RPN
    assert 'stays' in said


@pytest.mark.parametrize('generator', [RPN, RETINA, ATSS])
def test_small_objects_get_small_anchors_that_cover_more(generator: dict):
    boxes = random_boxes(300, 8, 20)
    new, said = fitted(generator, boxes)
    sizes = np.tile([WIDTH, HEIGHT], (len(boxes), 1))
    before, after = (coverage(best_overlaps(boxes, sizes, read_anchors(one))) for one in (generator, new))
    assert max(read_anchors(new).scales) < 0.8 * max(read_anchors(generator).scales)
    assert len(read_anchors(new).scales) * len(new['ratios']) == len(read_anchors(generator).scales) * len(
        generator['ratios']
    )
    assert after > before + 0.1
    assert f'{after:.1%}' in said
    assert f'before {before:.1%}' in said


def test_long_objects_get_their_ratios():
    boxes = np.concatenate([random_boxes(200, 30, 60, 6.0), random_boxes(200, 30, 60, 1 / 6, seed=1)])
    new, _ = fitted(RPN, boxes)
    assert min(new['ratios']) == pytest.approx(1 / 6, rel=0.25)
    assert max(new['ratios']) == pytest.approx(6, rel=0.25)


def test_ratios_are_those_of_three_kinds_of_boxes():
    kinds = [random_boxes(100, 20, 60, ratio, seed) for seed, ratio in enumerate((0.25, 1.0, 4.0))]
    assert ratios_of(np.concatenate(kinds), 3) == [pytest.approx((0.25, 1.0, 4.0), rel=0.1)]
    # of one kind: nothing to tell apart
    assert ratios_of(kinds[1], 3) in ([], [pytest.approx((0.84, 1.0, 1.2), rel=0.1)])
    assert ratios_of(kinds[1], 1) == []


def test_what_the_user_set_stays():
    generator, said = fitted(RPN, random_boxes(300, 8, 20), ('model.rpn_head.anchor_generator.scales',))
    assert generator == RPN
    assert '--cfg-options set it' in said


def test_generators_of_other_kinds_are_left_and_named():
    other = dict(type='YOLOAnchorGenerator', base_sizes=[[(10, 10)]], strides=[8])
    generator, said = fitted(other, random_boxes(300, 8, 20))
    assert generator == other
    assert 'YOLOAnchorGenerator' in said
    # points have no anchors
    cfg = Config(dict(model=dict(prior_generator=dict(type='MlvlPointGenerator', strides=[8]))))
    assert fit_anchors(cfg, of_one_image(random_boxes(10, 8, 20))) == []

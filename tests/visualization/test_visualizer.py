"""Drawings: where things are, what is left as it was, and that they can be read."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from pycocotools import mask as mask_utils

from swin_mmdet.structures import EncodedMasks
from swin_mmdet.visualization import DetLocalVisualizer
from swin_mmdet.visualization.labels import Labels, common_area, label_text, one_place

COLOURS = [(220, 20, 60), (0, 90, 200), (0, 200, 90)]
GREY = 100


def boxes_and_masks(size: tuple[int, int], boxes: list[tuple[int, int, int, int]]) -> tuple[torch.Tensor, np.ndarray]:
    """Boxes [n, 4], and masks [n, H, W] that fill them."""
    masks = np.zeros((len(boxes), *size), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes):
        mask[top:bottom, left:right] = True
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), masks


def draw(tmp_path: Path, size: tuple[int, int], threshold: float = 0.3, **instances: object) -> np.ndarray:
    """The drawn picture [H, W, 3] of a grey image."""
    visualizer = DetLocalVisualizer()
    visualizer.dataset_meta = dict(classes=('circle', 'square', 'triangle'), palette=COLOURS)
    sample = DetDataSample(pred_instances=InstanceData(**instances))
    image = np.full((*size, 3), GREY, np.uint8)
    out = tmp_path / 'drawn.png'
    visualizer.add_datasample('x', image, sample, draw_gt=False, pred_score_thr=threshold, out_file=str(out))
    return cv2.imread(str(out))[..., ::-1]


@pytest.mark.parametrize(('size', 'factor'), [((96, 128), 4), ((480, 320), 1), ((800, 1333), 1), ((100, 380), 2)])
def test_objects_are_where_they_are_and_the_rest_is_as_it_was(size: tuple, factor: int, tmp_path: Path):
    """mmdet's, on the canvas of matplotlib 3.11, changes most of the picture."""
    height, width = size
    box = width // 2, height // 2, width // 2 + 30, height // 2 + 30
    boxes, masks = boxes_and_masks(size, [box])
    picture = draw(
        tmp_path, size, bboxes=boxes, masks=torch.from_numpy(masks), labels=torch.tensor([1]),
        scores=torch.tensor([0.9]),
    )  # fmt: skip
    assert picture.shape == (height * factor, width * factor, 3)
    left, top, right, bottom = (x * factor for x in box)
    y, x = np.nonzero((picture != GREY).any(-1))
    label = 30  # pixels above the box, at most
    assert left - 4 <= x.min() <= left
    assert top - label <= y.min() < top - 10
    assert bottom - 2 <= y.max() <= bottom + 4
    assert x.max() <= max(right + 4, left + 130)
    # through the mask the image is seen
    inside = picture[(top + bottom) // 2, (left + right) // 2]
    assert np.abs(inside - (0.6 * GREY + 0.4 * np.array(COLOURS[1]))).max() <= 1
    edge = picture[(top + bottom) // 2, right].astype(int)
    assert np.abs(edge - COLOURS[1]).max() < 60


def test_masks_and_boxes_of_every_kind_are_drawn_alike(tmp_path: Path):
    size = 400, 500
    boxes, masks = boxes_and_masks(size, [(50, 60, 150, 200), (250, 100, 400, 300)])
    encoded = EncodedMasks([mask_utils.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks], *size)
    rest = dict(labels=torch.tensor([0, 2]), scores=torch.tensor([0.8, 0.7]))
    expected = draw(tmp_path, size, bboxes=boxes, masks=torch.from_numpy(masks), **rest)
    for kind in (BitmapMasks(masks.astype(np.uint8), *size), encoded, masks):
        assert np.array_equal(draw(tmp_path, size, bboxes=boxes, masks=kind, **rest), expected)
    assert np.array_equal(draw(tmp_path, size, bboxes=HorizontalBoxes(boxes), masks=masks, **rest), expected)
    # a model without boxes gives zeros: they are those of the masks
    assert np.array_equal(draw(tmp_path, size, bboxes=torch.zeros(2, 4), masks=masks, **rest), expected)


@pytest.mark.parametrize('size', [(100, 100), (400, 400)])
@pytest.mark.parametrize('with_masks', [False, True])
def test_nothing_found(size: tuple, with_masks: bool, tmp_path: Path):
    extra = dict(masks=torch.zeros((1, *size), dtype=torch.bool)) if with_masks else {}
    picture = draw(
        tmp_path, size, bboxes=torch.tensor([[1.0, 2, 30, 40]]), labels=torch.tensor([0]), scores=torch.tensor([0.1]),
        **extra,
    )  # fmt: skip
    assert (picture == GREY).all()


def test_text_and_lines_grow_with_the_picture(tmp_path: Path):
    heights = []
    for size in ((128, 128), (512, 512), (1333, 1333), (3000, 3000)):
        boxes, _ = boxes_and_masks(size, [(size[0] // 4, size[0] // 2, size[0] // 2, size[0] * 3 // 4)])
        picture = draw(tmp_path, size, bboxes=boxes, labels=torch.tensor([0]), scores=torch.tensor([0.9]))
        y = np.nonzero((picture != GREY).any((1, 2)))[0]
        heights.append(picture.shape[0] // 2 - y.min())
    # of the label above the box, in pixels of the drawing
    assert 12 <= heights[0] == heights[1] < heights[2] < heights[3] < 60


def test_detections_in_one_place_share_a_box_and_a_label():
    boxes = np.array([[0, 0, 10, 10], [50, 50, 90, 90], [0, 0, 11, 10], [50, 50, 70, 90], [1, 0, 10, 10]], float)
    scores = np.array([0.5, 0.4, 0.9, 0.8, 0.1])
    assert one_place(boxes, scores, 0.7) == [[2, 0, 4], [3], [1]]
    assert label_text(['circle', 'circle', 'square'], [0.9, 0.5, 0.1]) == 'circle 90%, square 10% +1'
    assert label_text(['circle'], [0.999]) == 'circle 100%'
    assert label_text(['circle'], None) == 'circle'
    assert one_place(np.zeros((2, 4)), np.ones(2), 0.7) == [[0], [1]]


def test_labels_stand_beside_objects_and_never_on_each_other():
    """Ten objects in a row, each narrower than its label."""
    covered = np.zeros((300, 600), bool)
    boxes = [(x, 140, x + 40, 180) for x in range(20, 580, 56)]
    for left, top, right, bottom in boxes:
        covered[top:bottom, left:right] = True
    labels = Labels(np.zeros((300, 600, 3), np.uint8), covered, 12)
    for box in boxes:
        labels.add('triangle 98%', box, COLOURS[0])
    places = [place for place, *_ in labels.placed]
    for index, (left, top, right, bottom) in enumerate(places):
        assert 0 <= left < right <= 600
        assert 0 <= top < bottom <= 300
        assert not covered[top:bottom, left:right].any()
        assert not any(common_area(places[index], other) for other in places[:index])
    white = (labels.draw() > 200).all(-1)
    assert all(white[top:bottom, left:right].any() for left, top, right, bottom in places)


def test_a_label_larger_than_the_picture_is_cut():
    labels = Labels(np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), bool), 12)
    labels.add('a long name of a class 98%', (5, 5, 10, 10), COLOURS[0])
    assert labels.draw().shape == (20, 30, 3)

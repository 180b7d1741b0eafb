"""Large images in tiles: every object of a mosaic once, with the box and mask that were drawn."""

from itertools import pairwise

import numpy as np
import pytest
from pycocotools import mask as mask_utils

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from swin_mmdet.api.found import Found, found_in
from swin_mmdet.api.look import look_in_slices
from swin_mmdet.api.slices import Slices, Tile, size_of_test
from swin_mmdet.errors import UserError

from .seen import Exact, box_of, drawn, instances_of

# tiles of 64 in an image of 150 x 190 begin at rows 0, 43, 86 and columns 0, 42, 84, 126
HEIGHT, WIDTH = 150, 190
TILES = Slices(64, overlap=0.25, whole=False)
MOSAIC = [
    ('box', (10, 10), (5, 4)),  # in one tile
    ('disc', (64, 20), (7, 7)),  # on a border
    ('disc', (42, 64), (6, 6)),  # on a corner of four tiles
    ('ring', (100, 30), (14, 14)),  # as large as the overlap is wide, and more
    ('box', (150, 75), (36, 28)),  # larger than a tile
    ('box', (60, 140), (50, 4)),  # over four tiles, at the lower border of the image
    ('box', (189, 149), (2, 1)),  # in the corner of the image
    ('disc', (15, 100), (15, 15)),
    ('box', (85, 86), (1, 1)),  # in the corner of a tile
    ('ring', (60, 96), (17, 17)),
]  # fmt: skip


def truth(image: np.ndarray) -> dict[bytes, tuple[int, list[float]]]:
    """Label and box of each mask."""
    return {
        mask_utils.encode(np.asfortranarray(mask, np.uint8))['counts']: (label, box_of(mask))
        for _, label, mask in instances_of(image)
    }


def as_truth(found: Found) -> dict[bytes, tuple[int, list[float]]]:
    columns = zip(found.rles, found.labels.tolist(), found.boxes.tolist())
    return {rle['counts']: (label, box) for rle, label, box in columns}


def look(image: np.ndarray, slices: Slices = TILES, batch_size: int = 3, masks: bool = True) -> tuple[Found, Exact]:
    detect = Exact(masks)
    return look_in_slices(detect, image, slices, 0.0, batch_size, None), detect


def test_every_object_of_a_mosaic_comes_out_once_with_its_box_and_mask():
    image = drawn(MOSAIC, HEIGHT, WIDTH)
    found, detect = look(image)
    assert len(found) == len(MOSAIC)
    assert as_truth(found) == truth(image)
    assert {tuple(rle['size']) for rle in found.rles} == {(HEIGHT, WIDTH)}
    assert set(detect.sizes) == {(64, 64)}
    assert len(detect.sizes) == 3 * 4
    assert detect.batches == [3] * 4
    assert (np.diff(found.scores) <= 0).all()


def test_boxes_alone_do_the_same():
    image = drawn(MOSAIC, HEIGHT, WIDTH)
    found, _ = look(image, masks=False)
    assert found.rles is None
    expected = sorted(truth(image).values())
    assert sorted(zip(found.labels.tolist(), found.boxes.tolist())) == expected


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('masks', [True, False])
def test_any_mosaic(seed: int, masks: bool):
    """Of odd sizes, with tiles of odd sizes; shapes that do not touch, in cells of a grid."""
    random = np.random.default_rng(seed)
    height, width = random.integers(90, 260, 2).tolist()
    cell = 46
    shapes = []
    for row in range(height // cell):
        for column in range(width // cell):
            half = random.integers(2, 17, 2).tolist()
            centre = [int(cell * (index + 0.5) + random.integers(-4, 5)) for index in (column, row)]
            shapes.append((('box', 'disc', 'ring')[random.integers(3)], tuple(centre), tuple(half)))
    image = drawn(shapes, height, width)
    slices = Slices(tuple(random.integers(60, 100, 2).tolist()), overlap=0.3, whole=False)
    found, _ = look(image, slices, masks=masks)
    assert len(found) == len(shapes)
    if masks:
        assert as_truth(found) == truth(image)
    else:
        assert sorted(found.boxes.tolist()) == sorted(box for _, box in truth(image).values())


def test_an_image_without_objects():
    found, _ = look(drawn([], HEIGHT, WIDTH))
    assert found.boxes.shape == (0, 4)
    assert (len(found), found.rles) == (0, [])


@pytest.mark.parametrize('size', [(64, 64), (40, 64), (33, 21)])
def test_an_image_of_one_tile_is_seen_as_without_slices(size: tuple[int, int]):
    image = drawn([('disc', (12, 14), (9, 8)), ('disc', (30, 20), (6, 6)), ('box', (1, 30), (1, 1))], *size)
    # in two of one place the detector is believed
    found, detect = look(image, Slices(64))
    expected = found_in(Exact().sample(image), 0.0)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)
    assert found.rles == expected.rles
    assert detect.sizes == [size]


def test_the_whole_image_finds_what_is_larger_than_tiles_and_parts_of_it_go():
    image = drawn(MOSAIC, HEIGHT, WIDTH)
    found, detect = look(image, Slices(64))
    assert detect.sizes[0] == (HEIGHT, WIDTH)
    assert as_truth(found) == truth(image)


def test_objects_of_two_classes_in_one_place_are_two():
    image = drawn([('disc', (64, 30), (12, 12))], 64, 128)
    other = image.copy()
    other[..., 2][other[..., 2] > 0] = 1

    class Both(Exact):
        def sample(self, image: np.ndarray):
            found = super().sample(image)
            again = super().sample(image)
            again.pred_instances.labels[:] = 0
            found.pred_instances = type(found.pred_instances).cat([found.pred_instances, again.pred_instances])
            return found

    found = look_in_slices(Both(masks=False), image, TILES, 0.0, 2, None)
    assert sorted(found.labels.tolist()) == [0, 1]
    np.testing.assert_array_equal(found.boxes[0], found.boxes[1])


def test_two_that_a_detector_sees_in_one_place_stay_two():
    """Suppressing them is its own affair, as without slices; in the neighbour they are again two."""
    image = drawn([('disc', (50, 30), (5, 5))], 64, 128)

    class Twice(Exact):
        def sample(self, image: np.ndarray):
            found = super().sample(image)
            again = super().sample(image)
            again.pred_instances.scores -= 0.3
            found.pred_instances = type(found.pred_instances).cat([found.pred_instances, again.pred_instances])
            return found

    found = look_in_slices(Twice(masks=False), image, TILES, 0.0, 2, None)
    assert len(found) == 2


def test_a_whole_is_trusted_more_than_a_part_with_a_better_score():
    image = drawn([('box', (60, 30), (7, 10))], 64, 128)

    class Sure(Exact):
        def sample(self, image: np.ndarray):
            found = super().sample(image)
            found.pred_instances.scores = torch_scores(found.pred_instances.bboxes)
            return found

    def torch_scores(boxes):
        return 1 / (boxes[:, 2] - boxes[:, 0])

    found = look_in_slices(Sure(), image, TILES, 0.0, 2, None)
    assert found.boxes.tolist() == [[53, 20, 68, 41]]
    assert found.scores.tolist() == pytest.approx([1 / 15])


@pytest.mark.parametrize(
    ('length', 'side', 'overlap'), [(4000, 800, 0.25), (801, 800, 0.5), (1999, 333, 0.0), (97, 32, 0.9)]
)
def test_tiles_cover_an_axis_with_the_overlap(length: int, side: int, overlap: float):
    tiles = Slices((side, 50), overlap).tiles(length, 50, None)
    starts = [tile.top for tile in tiles]
    assert (starts[0], tiles[-1].bottom) == (0, length)
    assert {tile.bottom - tile.top for tile in tiles} == {side}
    assert {(tile.left, tile.right) for tile in tiles} == {(0, 50)}
    shared = [before + side - after for before, after in pairwise(starts)]
    assert min(shared) >= int(side * overlap) - 1
    # one less would not do
    assert (len(starts) - 1) * (side - int(side * overlap)) < length


def test_the_size_of_a_tile_is_that_of_the_test():
    pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(1333, 800), keep_ratio=True)]
    assert size_of_test(pipeline) == (800, 1333)
    assert Slices().tiles(800, 1333, (800, 1333)) == [Tile(0, 0, 1333, 800)]
    assert size_of_test(pipeline[:1]) is None
    with pytest.raises(UserError, match='which has none; give a size'):
        Slices().tiles(800, 1333, None)


def test_what_slices_may_be():
    assert Slices.read(None) is None
    assert Slices.read(False) is None
    assert Slices.read(True) == Slices()
    assert Slices.read(640) == Slices(640)
    assert Slices.read([640, 800]) == Slices((640, 800))
    for wrong in (0, -5, (640,) * 3, (), 'yes', 2.5, (640, 10)):
        with pytest.raises(UserError, match='slices'):
            Slices.read(wrong)
    for wrong in (dict(overlap=1), dict(overlap=-0.1), dict(threshold=0), dict(threshold=2)):
        with pytest.raises(UserError, match=next(iter(wrong))):
            Slices(**wrong)

"""Formats of boxes on both sides of what makes them certain, for images of 60 x 40."""

import numpy as np
import pytest

from swin_mmdet.datasets.box_format import BoxFormat, as_coco, box_format, corners_of, overlaps

SIZE = (60, 40)
BOX, CORNERS, CENTRES = [10, 20, 20, 6], [10, 20, 30, 26], [20, 23, 20, 6]
MASK = (10, 20, 30, 26)
OF_CENTRES = '[centre x, centre y, width, height]'
UNKNOWN = np.nan


def told(boxes: list, mask: tuple | None = None, area: float = UNKNOWN, size: tuple = SIZE) -> tuple | None:
    """Layout, fractions and evidence."""
    number = len(boxes)
    masks = np.array([mask or (UNKNOWN,) * 4] * number, float).reshape(-1, 4)
    found = box_format(np.array(boxes, float).reshape(-1, 4), np.array([size] * number, float).reshape(-1, 2), masks,
                       np.full(number, area))  # fmt: skip
    return found and (found.layout, found.fractions, found.evidence)


FRACTIONS = 'none of their numbers is larger than 1'
ALL_BEYOND = '100% of them reach beyond their images as they stand, none so'


@pytest.mark.parametrize(
    ('boxes', 'evidence', 'expected'),
    [
        ([], {}, None),
        ([BOX] * 3, dict(mask=MASK), None),
        ([CORNERS] * 3, dict(mask=MASK), ('corners', False, '100% of them fit their masks so, 0% as they stand')),
        ([CENTRES] * 3, dict(mask=MASK), ('centres', False, '100% of them fit their masks so, 0% as they stand')),
        # four of five are enough, three of four are not
        ([CORNERS] * 4 + [BOX], dict(mask=MASK),
         ('corners', False, '80% of them fit their masks so, 20% as they stand')),
        ([CORNERS] * 3 + [BOX], dict(mask=MASK), None),
        # at the corner of an image both fit, which tells nothing
        ([[0, 0, 30, 26]] * 3, dict(mask=(0, 0, 30, 26)), None),
        # masks elsewhere tell nothing, and then nothing else is asked
        ([CORNERS] * 9, dict(mask=(50, 0, 60, 9), area=120), None),
        ([CORNERS] * 3, dict(area=120), ('corners', False, '100% of them fit their areas so, 0% as they stand')),
        ([CORNERS] * 3, dict(area=123.3), ('corners', False, '100% of them fit their areas so, 0% as they stand')),
        ([CORNERS] * 3, dict(area=125), None),
        ([CORNERS] * 4 + [BOX], dict(area=120),
         ('corners', False, '80% of them fit their areas so, 20% as they stand')),
        ([CORNERS] * 3 + [BOX], dict(area=120), None),
        ([CENTRES] * 3, dict(area=120), None),
        ([BOX] * 3, dict(area=120), None),
        # corners in the wrong order have no area
        ([[30, 26, 10, 20]] * 3, dict(area=120), None),
        # without masks and areas: over the border
        ([[40, 20, 60, 40]] * 5, {}, ('corners', False, ALL_BEYOND)),
        ([[40, 20, 60, 40]] * 4, {}, None),
        ([[40, 20, 60, 40]] + [BOX] * 8 + [[0, 0, 10, 10]], {}, None),
        ([[50, 30, 20, 20]] * 2 + [CENTRES] * 3, {},
         ('centres', False, '40% of them reach beyond their images as they stand, none so')),
        ([[40, 20, 62, 42]] * 5, {}, ('corners', False, ALL_BEYOND)),
        ([[40, 20, 62.1, 40]] * 5, {}, None),
        ([[52, 30, 20, 20]] * 5, {}, ('centres', False, ALL_BEYOND)),
        ([[52.1, 30, 20, 20]] * 5, {}, None),
        ([[0.2, 0.5, 0.3, 0.2]], {}, ('', True, FRACTIONS)),
        ([[0, 0, 1, 1]], {}, ('', True, FRACTIONS)),
        ([[0, 0, 1, 1.01]], {}, None),
        ([[-0.01, 0, 1, 1]], {}, None),
        ([[0.2, 0.5, 0.3, 0.2]], dict(size=(60, 8)), ('', True, FRACTIONS)),
        ([[0.2, 0.5, 0.3, 0.2]], dict(size=(60, 7)), None),
        ([[10 / 60, 0.5, 0.5, 0.65]] * 3, dict(mask=MASK), ('corners', True, FRACTIONS)),
        ([[1 / 3, 23 / 40, 1 / 3, 0.15]] * 3, dict(mask=MASK), ('centres', True, FRACTIONS)),
    ],
    ids=str,
)  # fmt: skip
def test_formats(boxes: list, evidence: dict, expected: tuple | None):
    assert told(boxes, **evidence) == expected


@pytest.mark.parametrize(
    ('layout', 'fractions', 'box', 'words'),
    [
        ('corners', False, CORNERS, '[x1, y1, x2, y2]'),
        ('centres', False, CENTRES, OF_CENTRES),
        ('', True, [10 / 60, 0.5, 1 / 3, 0.15], '[x, y, width, height] in fractions of the image'),
        ('corners', True, [10 / 60, 0.5, 0.5, 0.65], '[x1, y1, x2, y2] in fractions of the image'),
        ('centres', True, [1 / 3, 23 / 40, 1 / 3, 0.15], f'{OF_CENTRES} in fractions of the image'),
    ],
)
def test_boxes_written_as_cocos(layout: str, fractions: bool, box: list, words: str):
    found = BoxFormat(layout, fractions, '')
    assert found.words == words
    np.testing.assert_allclose(as_coco(np.array([box]), np.array([SIZE]), found), [BOX])


def test_overlaps_of_pairs():
    first = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 0, 0]], float)
    other = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [UNKNOWN] * 4, [0, 0, 0, 0]], float)
    np.testing.assert_allclose(overlaps(first, other), [1, 1 / 3, 0, UNKNOWN, UNKNOWN])
    # of boxes turned inside out, none
    np.testing.assert_allclose(overlaps(first[:1], np.array([[10.0, 10, 0, 0]])), [0])
    np.testing.assert_allclose(corners_of(np.array([BOX])), [CORNERS])

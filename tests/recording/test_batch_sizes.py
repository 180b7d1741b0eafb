"""Batches of many sizes are padded to few, by no more than allowed."""

import random

import swin_mmdet.compat  # noqa: F401

# isort: split
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swin_mmdet.recording.batch_sizes import COST, LITTLE, BatchSizes

sides = st.integers(1, 42).map(lambda number: 32 * number)


@given(st.lists(st.tuples(sides, sides), max_size=30), st.floats(0, 2))
def test_a_batch_fits_and_wastes_little(sizes, max_waste):
    sizes_of = BatchSizes(max_waste)
    known = set()
    for height, width in sizes:
        h, w = sizes_of.fit((height, width))
        assert h >= height
        assert w >= width
        assert h * w <= height * width * (1 + max_waste)
        # a size is new only where no known one would do, or has been paid for
        own = {(a, b) for a, b in known if a >= height and b >= width and a * b <= height * width * (1 + max_waste)}
        assert (h, w) in known or h * w <= height * width * (1 + LITTLE)
        assert len(sizes) * max_waste > COST or not own or (h, w) in known
        known.add((h, w))
        assert sizes_of.fit((h, w)) == (h, w)


@given(st.tuples(sides, sides), st.floats(0, 2))
def test_batches_of_one_size_are_not_padded(size, max_waste):
    sizes = BatchSizes(max_waste)
    assert [sizes.fit(size) for _ in range(3)] == [size] * 3


def test_the_smallest_that_holds_it_is_taken():
    sizes = BatchSizes(1.0)
    sizes.fit((640, 960))
    assert sizes.fit((608, 928)) == (640, 960)
    assert sizes.fit((300, 928)) == (320, 960)  # the other is more than twice as large
    assert sizes.fit((320, 960)) == (320, 960)
    assert sizes.fit((288, 960)) == (320, 960)
    assert sizes.fit((608, 928)) == (640, 960)


def test_a_size_is_borrowed_until_its_own_is_paid_for():
    sizes = BatchSizes(1.0)
    sizes.fit((640, 960))
    # half as much again is padded each time
    assert [sizes.fit((640, 640)) for _ in range(31)] == [(640, 960)] * 31
    assert sizes.fit((640, 640)) == (640, 640)
    assert sizes.fit((608, 608)) == (640, 640)


def test_what_is_little_is_never_paid_for():
    sizes = BatchSizes(1.0)
    sizes.fit((640, 960))
    assert {sizes.fit((640, 768)) for _ in range(1000)} == {(640, 960)}


def test_hundreds_of_sizes_become_few():
    short, long = range(480, 801, 32), range(512, 1345, 32)
    sizes = [(h, w) for h in short for w in long] + [(w, h) for h in short for w in long]
    random.Random(0).shuffle(sizes)
    assert len(sizes) > 500
    fit = BatchSizes(1.0).fit
    first = [fit(size) for size in sizes]
    assert len(set(first[:100])) <= 20
    assert len(set(first)) <= 40
    for _ in range(100):
        last = [fit(size) for size in sizes]
    assert len(set(last)) <= 80
    pixels = [sum(h * w for h, w in some) for some in (first, last, sizes)]
    assert pixels[0] / pixels[2] < 1.35
    assert pixels[1] / pixels[2] < 1.12


@pytest.mark.parametrize('max_waste', [0.0, 0.1])
def test_no_more_is_padded_than_allowed(max_waste):
    sizes = BatchSizes(max_waste)
    sizes.fit((640, 960))
    assert sizes.fit((640, 640)) == (640, 640)
    assert sizes.fit((640, 800))[1] in (800,)

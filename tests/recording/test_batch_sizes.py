"""Batches of many sizes are padded to few, by no more than allowed."""

import swin_mmdet.compat  # noqa: F401

# isort: split
from hypothesis import given
from hypothesis import strategies as st

from swin_mmdet.recording.batch_sizes import BatchSizes

sides = st.integers(1, 42).map(lambda number: 32 * number)


@given(st.lists(st.tuples(sides, sides), max_size=30), st.floats(0, 1))
def test_a_batch_fits_and_wastes_little(sizes, max_waste):
    known = BatchSizes(max_waste)
    for height, width in sizes:
        h, w = known.fit((height, width))
        assert h >= height
        assert w >= width
        assert h * w <= height * width * (1 + max_waste)
        assert known.fit((h, w)) == (h, w)


@given(st.tuples(sides, sides), st.floats(0, 1))
def test_batches_of_one_size_are_not_padded(size, max_waste):
    known = BatchSizes(max_waste)
    assert [known.fit(size) for _ in range(3)] == [size] * 3


def test_the_smallest_that_holds_it_is_taken():
    known = BatchSizes(0.25)
    known.fit((640, 960))
    assert known.fit((608, 928)) == (640, 960)
    assert known.fit((320, 928)) == (320, 960)  # the other would be twice as large
    assert known.fit((600, 930)) == (640, 960)


def test_hundreds_of_sizes_become_few():
    short, long = range(480, 801, 32), range(512, 1345, 32)
    sizes = [(h, w) for h in short for w in long] + [(w, h) for h in short for w in long]
    known = BatchSizes(0.25)
    padded = [known.fit(size) for size in sizes]
    assert len(sizes) > 500
    assert len(set(padded)) <= 80
    pixels = [sum(h * w for h, w in some) for some in (padded, sizes)]
    assert pixels[0] / pixels[1] < 1.12

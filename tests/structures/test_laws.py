"""Laws of masks: whatever form they travel in, they are the same pixels."""

import pickle

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mmdet.structures.mask import BitmapMasks

from swin_mmdet.structures import EncodedMasks, LazyMasks, PackedMasks
from tests.laws import law
from tests.structures.annotations import compressed, uncompressed

sides = st.integers(1, 19)
bitmaps = st.tuples(st.integers(1, 4), sides, sides).flatmap(
    lambda shape: arrays.arrays(np.uint8, shape, elements=st.integers(0, 1), fill=st.just(0))
)


def tight_box(mask):
    """x1, y1, x2, y2 around what is not 0, by looking at every pixel."""
    places = [(x, y) for y, row in enumerate(mask) for x, pixel in enumerate(row) if pixel]
    if not places:
        return [0, 0, 0, 0]
    columns, rows = zip(*places, strict=True)
    return [min(columns), min(rows), max(columns) + 1, max(rows) + 1]


@law(80)
@given(masks=bitmaps)
def test_every_form_has_the_same_pixels_boxes_and_areas(masks):
    _, height, width = masks.shape
    bitmap = BitmapMasks(masks, height, width)
    forms = [
        LazyMasks(list(masks), height, width),
        LazyMasks([compressed(one) for one in masks], height, width),
        LazyMasks([uncompressed(one) for one in masks], height, width),
        PackedMasks.from_bitmap(bitmap),
    ]
    forms += [pickle.loads(pickle.dumps(one)) for one in forms]
    for form in forms:
        assert (len(form), form.height, form.width) == masks.shape
        np.testing.assert_array_equal(form.to_ndarray(), masks)
        assert form.get_bboxes().tensor.tolist() == [tight_box(one) for one in masks]
        assert form.areas.tolist() == masks.sum((1, 2)).tolist()
    encoded = EncodedMasks([compressed(one) for one in masks], height, width)
    assert torch.equal(encoded, torch.from_numpy(masks).bool())


@law(80)
@given(masks=bitmaps, data=st.data())
def test_a_choice_and_its_rest_are_the_whole(masks, data):
    count, height, width = masks.shape
    chosen = np.array(data.draw(st.permutations(range(count)), label='order'))
    cut = data.draw(st.integers(0, count), label='cut')
    packed = PackedMasks.from_bitmap(BitmapMasks(masks, height, width))
    parts = [packed[chosen[:cut]], packed[chosen[cut:]]]
    np.testing.assert_array_equal(PackedMasks.cat(parts).to_ndarray(), masks[chosen])
    lazy = LazyMasks(list(masks), height, width)
    np.testing.assert_array_equal(LazyMasks.cat([lazy[chosen[:cut]], lazy[chosen[cut:]]]).to_ndarray(), masks[chosen])


@st.composite
def steps(draw, height, width):
    """Name and arguments of a method of masks in an image of that size."""
    x1, y1 = draw(st.integers(-2, width - 1)), draw(st.integers(-2, height - 1))
    return draw(st.sampled_from([
        ('flip', draw(st.sampled_from(['horizontal', 'vertical', 'diagonal']))),
        ('resize', (draw(sides), draw(sides))),
        ('crop', np.array([x1, y1, x1 + draw(sides), y1 + draw(sides)])),
        ('pad', (height + draw(sides), width + draw(sides))),
    ]))  # fmt: skip


@law(80)
@given(masks=bitmaps, data=st.data())
def test_what_is_done_to_lazy_masks_is_done_to_their_pixels(masks, data):
    _, height, width = masks.shape
    lazy, bitmap = LazyMasks(list(masks), height, width), BitmapMasks(masks, height, width)
    for _ in range(data.draw(st.integers(1, 4))):
        name, argument = data.draw(steps(bitmap.height, bitmap.width))
        lazy, bitmap = getattr(lazy, name)(argument), getattr(bitmap, name)(argument)
        assert isinstance(lazy, LazyMasks)
    assert (lazy.height, lazy.width) == (bitmap.height, bitmap.width)
    np.testing.assert_array_equal(lazy.to_ndarray(), bitmap.masks)
    assert lazy.get_bboxes().tensor.tolist() == [tight_box(one) for one in bitmap.masks]


@law(60)
@given(masks=bitmaps)
def test_two_flips_leave_masks_as_they_were(masks):
    lazy = LazyMasks(list(masks), *masks.shape[1:])
    for direction in ('horizontal', 'vertical', 'diagonal'):
        np.testing.assert_array_equal(lazy.flip(direction).flip(direction).to_ndarray(), masks)
    np.testing.assert_array_equal(lazy.flip('horizontal').flip('vertical').to_ndarray(), lazy.flip('diagonal').masks)

"""Laws of boxes and of their assignment, for whatever boxes there are."""

from fractions import Fraction

import torch
from hypothesis import given
from hypothesis import strategies as st

from swin_mmdet.ops.adaptive_assignment import assign_adaptively
from swin_mmdet.ops.box_assignment import AssignmentRule, assign_boxes
from swin_mmdet.ops.box_deltas import clip_boxes, decode_boxes, encode_boxes
from swin_mmdet.ops.box_overlaps import overlaps
from tests.laws import law

MEANS, STDS = (0.0, 0.1, 0.0, -0.2), (0.1, 0.1, 0.2, 0.2)
# shares of whole areas below 2 ** 24 are the same in float32 and exactly, rounded
SIDE = 12


@st.composite
def whole_boxes(draw, least=0):
    """[x1, y1, x2, y2] of whole numbers, some without an area."""
    x1, y1 = draw(st.integers(0, SIDE - least)), draw(st.integers(0, SIDE - least))
    return [x1, y1, draw(st.integers(x1 + least, SIDE)), draw(st.integers(y1 + least, SIDE))]


def tensor(boxes):
    return torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)


def exact_overlap(one, other):
    """As a fraction, by counting."""

    def pixels(box):
        return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}

    one, other = pixels(one), pixels(other)
    return Fraction(len(one & other), len(one | other)) if one | other else Fraction(0)


@law(150)
@given(one=whole_boxes(), other=whole_boxes())
def test_overlaps_are_shares_of_pixels(one, other):
    found = overlaps(tensor([one]), tensor([other, one]))
    assert found.shape == (2,)
    assert found[0].item() == torch.tensor(float(exact_overlap(one, other))).item()
    assert found[1].item() == (one[2] > one[0] and one[3] > one[1])
    assert torch.equal(overlaps(tensor([other]), tensor([one])), found[:1])


@law(150)
@given(
    boxes=st.lists(whole_boxes(least=1), min_size=1, max_size=5), objects=st.data(),
    most=st.sampled_from([None, 32.0]), shape=st.tuples(st.integers(1, SIDE), st.integers(1, SIDE)),
)  # fmt: skip
def test_what_is_encoded_is_decoded_and_a_clipped_box_stays(boxes, objects, most, shape):
    objects = tensor(objects.draw(st.lists(whole_boxes(least=1), min_size=len(boxes), max_size=len(boxes))))
    boxes = tensor(boxes)
    found = decode_boxes(boxes, encode_boxes(boxes, objects, MEANS, STDS), MEANS, STDS, most)
    torch.testing.assert_close(found, objects, rtol=0, atol=2e-5)
    height, width = shape
    clipped = clip_boxes(found[None], torch.tensor([shape]))
    assert (clipped >= 0).all()
    assert (clipped <= torch.tensor([width, height, width, height])).all()
    assert torch.equal(clip_boxes(clipped, torch.tensor([shape])), clipped)


def assigned_by_definition(box, objects, rule, best_overlaps):
    """The words of `AssignmentRule`, one box at a time and in fractions; the set of what is allowed."""
    found = [exact_overlap(one, box) for one in objects]
    highest = max(found, default=Fraction(0))
    if rule.best is not None:
        own = [g for g, best in enumerate(best_overlaps) if found[g] == best and best >= rule.best]
        if own:
            return {own[-1] + 1}
    if objects and highest >= rule.positive:
        return {g + 1 for g, overlap in enumerate(found) if overlap == highest}
    return {0} if not objects or rule.lowest_negative <= highest < rule.negative else {-1}


# quarters are exact in float32, so that overlaps of just so much are met
RULES = [
    AssignmentRule(0.5, 0.5), AssignmentRule(0.75, 0.25, best=0.25), AssignmentRule(0.5, 0.25, lowest_negative=0.125),
    AssignmentRule(0.5, 0.25, best=0.0),
]  # fmt: skip


@law(150)
@given(data=st.data(), rule=st.sampled_from(RULES))
def test_an_assignment_is_its_definition_whatever_stands_beside(data, rule):
    """Boxes that are not valid and rows behind an image's objects change nothing."""
    boxes = data.draw(st.lists(whole_boxes(), min_size=1, max_size=8))
    objects = data.draw(st.lists(whole_boxes(), max_size=4))
    valid = data.draw(st.lists(st.booleans(), min_size=len(boxes), max_size=len(boxes)))
    beyond = data.draw(st.lists(whole_boxes(), max_size=2))
    candidates = [box for box, is_valid in zip(boxes, valid, strict=True) if is_valid]
    best = [max((exact_overlap(one, box) for box in candidates), default=Fraction(-1)) for one in objects]
    found = assign_boxes(
        tensor(boxes)[None], torch.tensor([valid]), tensor(objects + beyond)[None], torch.tensor([len(objects)]), rule
    )
    for box, is_valid, own in zip(boxes, valid, found[0].tolist(), strict=True):
        assert own in (assigned_by_definition(box, objects, rule, best) if is_valid else {-1}), (box, own)


@law(60)
@given(data=st.data())
def test_an_image_is_assigned_adaptively_as_if_it_were_alone(data):
    """In a batch, with rows behind its objects and anchors that do not exist."""
    anchors = tensor(data.draw(st.lists(whole_boxes(least=1), min_size=6, max_size=6)))
    images = data.draw(st.lists(st.lists(whole_boxes(least=1), max_size=3), min_size=1, max_size=3))
    valid = torch.tensor(data.draw(st.lists(st.lists(st.booleans(), min_size=6, max_size=6),
                                            min_size=len(images), max_size=len(images))))  # fmt: skip
    padded = torch.stack([torch.cat([tensor(one), torch.full((3 - len(one), 4), 5.0)]) for one in images])
    together = assign_adaptively(anchors, valid, (4, 2), padded, [len(one) for one in images], nearest=2)
    for image, one in enumerate(images):
        alone = assign_adaptively(anchors, valid[image : image + 1], (4, 2), tensor(one)[None], [len(one)], nearest=2)
        assert torch.equal(together[image], alone[0])
        assert (alone[0] == -1).tolist() == (~valid[image]).tolist()
        assert alone.max() <= len(one)

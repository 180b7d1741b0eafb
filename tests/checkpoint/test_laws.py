"""Round trips of checkpoints: whatever the architecture, a layout keeps every weight in either direction."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swin_mmdet.checkpoint import read_checkpoint, to_canonical
from swin_mmdet.checkpoint.convert import TARGETS, convert
from swin_mmdet.checkpoint.formats import FORMATS
from swin_mmdet.checkpoint.key_template import fill, match
from swin_mmdet.checkpoint.translate import from_canonical
from tests.checkpoint import published
from tests.checkpoint.libraries import Sizes
from tests.checkpoint.test_formats import PREFIXES
from tests.laws import law

LAYOUTS = {item.layout.name: item.layout for item in FORMATS}
# the versions of Swin that a layout has
VERSIONS = {'mmdet': (1,), 'mmpretrain_v2': (2,)}
# who writes a file -> the program whose file it is
PROGRAMS = {
    published.microsoft: 'official', published.official: 'official', published.mmdet: 'mmdet',
    published.timm_by_key_list: 'timm',
}  # fmt: skip
BUFFERS = re.compile(r'relative_position_index$|relative_coords_table$|attn_mask$')


@st.composite
def architectures(draw):
    """Small ones of 2 to 4 stages, for a single one has no merging to recognise it by."""
    depths = tuple(draw(st.lists(st.integers(1, 3), min_size=2, max_size=4)))
    heads = tuple(draw(st.integers(1, 3)) for _ in depths)
    window = draw(st.integers(2, 4))
    return Sizes(2 * draw(st.integers(1, 3)), depths, heads, window, 4 * window * 2 ** len(depths))


def without_buffers(weights):
    return {key: value for key, value in weights.items() if not BUFFERS.search(key)}


def canonical_weights(sizes, version, of_a_detector=False):
    """Microsoft's, whose names are ours but for the stages'."""
    weights = published.microsoft_state_dict(sizes, version)
    weights = published.backbone_of(weights) if of_a_detector else weights
    return {re.sub(r'^layers\.', 'stages.', key): value for key, value in without_buffers(weights).items()}


def assert_equal(found, expected):
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


@pytest.mark.parametrize('name', LAYOUTS)
@law(8)
@given(data=st.data())
def test_a_backbone_comes_back_from_every_layout(name, data):
    """With every key and value, and recognised, behind any prefix."""
    layout = LAYOUTS[name]
    version = data.draw(st.sampled_from(VERSIONS.get(name, (1, 2))))
    prefix = data.draw(st.sampled_from(('', *PREFIXES)))
    weights = canonical_weights(data.draw(architectures()), version)
    found = to_canonical(from_canonical(weights, layout, prefix))
    assert found.detection.format.layout is layout
    assert (found.detection.version, found.detection.prefix) == (version, prefix)
    assert_equal(found.backbone, weights)
    assert not found.rest
    assert not found.dropped


@pytest.mark.parametrize('write', PROGRAMS, ids=lambda write: write.__name__)
@law(8)
@given(data=st.data())
def test_a_program_gets_back_the_file_that_it_wrote(write, data):
    """All of its keys but buffers that are computed, in its own order of channels; a detector's heads as well."""
    program = PROGRAMS[write]
    of_a_v1_detector = write is published.official
    version = 1 if of_a_v1_detector else data.draw(st.sampled_from(TARGETS[program].versions))
    file = read_checkpoint(write(published.microsoft_state_dict(data.draw(architectures()), version)))
    converted = convert(to_canonical(file.state_dict), program)
    assert_equal(without_buffers(converted.state_dict), without_buffers(file.state_dict))


@pytest.mark.parametrize('name', TARGETS)
@law(8)
@given(data=st.data())
def test_a_conversion_loses_what_it_says_and_nothing_else(name, data):
    """There and back: each key of the classifier or the backbone is the same, or named with a reason."""
    version = data.draw(st.sampled_from(TARGETS[name].versions))
    sizes = data.draw(architectures())
    weights = canonical_weights(sizes, version, data.draw(st.booleans(), label='of a detector'))
    converted = convert(to_canonical(weights), name, sizes.window_size)
    again = to_canonical(converted.state_dict)
    assert all(len(reason) > len(name) for reason in converted.left_out.values())
    assert_equal(again.backbone, {key: value for key, value in weights.items() if key not in converted.left_out})


TEMPLATES = sorted({template for layout in LAYOUTS.values() for pair in layout.renames for template in pair})


@law(100)
@given(
    template=st.sampled_from(TEMPLATES), i=st.integers(0, 40), j=st.integers(0, 40),
    rest=st.text('abc.01', min_size=1, max_size=8),
)  # fmt: skip
def test_a_template_reads_what_it_writes(template, i, j, rest):
    numbers = {name: number for name, number in (('i', i), ('j', j)) if re.search(rf'\d*{name}[+}}]', template)}
    rest = rest if template.endswith('.') else ''
    assert match(template, fill(template, numbers) + rest) == (numbers, rest)

"""A healthy data set spoilt at a random place of its JSON: never a traceback, never silence about what a model sees."""

import copy
import json
import math

import pytest
from fault_cases.case import ACCEPTED
from fault_cases.data import Data, healthy, truth
from fault_cases.doors import DOORS, Answer, answer

hypothesis = pytest.importorskip('hypothesis')
st = hypothesis.strategies

# nothing that could stand in the place of what was there: a wrong class that exists is a truth like any other
NUMBERS = [math.nan, math.inf, -math.inf, -7, 1e30, 10**400]
NOTHING_RIGHT = [None, '', 'x', '\ud800', 'é', [], {}, [[]], {'size': 3}, *NUMBERS]


@st.composite
def spoilt(draw):
    """The annotations of the training with one thing, sometimes two, taken away, cut or replaced."""
    content = healthy('train')
    for _ in range(draw(st.sampled_from([1, 1, 1, 2]))):
        name = draw(st.sampled_from(['images', 'categories', 'annotations', 'annotations']))
        spoil(draw, content[name])
    return content


def spoil(draw, node):
    """Something below a list or dict; a whole image, category or annotation stays or becomes something else."""
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        value = node[key]
        if not isinstance(value, (dict, list)) or not value or not draw(st.integers(0, 5)):
            break
        node = value
    how = draw(st.sampled_from(['replace', 'replace', 'delete', 'cut', 'text']))
    if how == 'delete' and isinstance(node, dict):
        del node[key]
    elif how == 'cut' and isinstance(value, str) and value:
        node[key] = value[: draw(st.integers(0, len(value) - 1))]
    elif how == 'text' and isinstance(value, (int, float)):
        node[key] = draw(st.sampled_from([str(value), [value], {'value': value}]))
    else:
        node[key] = copy.deepcopy(draw(st.sampled_from(NOTHING_RIGHT)))


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return Data(tmp_path_factory.mktemp('spoilt') / 'data')


def same(found, expected):
    return found.keys() == expected.keys() and all(
        [(name, pytest.approx(box, abs=0.05), pixels) for name, box, pixels in expected[image]] == objects
        for image, objects in found.items()
    )


def silent(answers: dict[str, Answer]) -> list[str]:
    """Doors that say nothing and show a model something else than the truth."""
    return [
        door
        for door, found in answers.items()
        if found.outcome == ACCEPTED and found.seen is not None and not same(found.seen, truth())
    ]


def test_healthy_data_is_seen_as_it_is(data):
    data.save()
    answers = {door: answer(door, data) for door in DOORS}
    assert {found.outcome for found in answers.values()} == {ACCEPTED}, answers
    assert silent(answers) == []
    other = truth()
    other['0001.jpg'][0] = ('dog', *other['0001.jpg'][0][1:])
    assert not same(answers['train CONFIG'].seen, other)


@hypothesis.seed(18)
@hypothesis.settings(
    max_examples=120,
    deadline=None,
    database=None,
    derandomize=False,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.generate],
)
@hypothesis.given(content=spoilt())
def test_no_spoilt_place_makes_a_traceback_or_is_passed_over_in_silence(data, content):
    data.raw['train'] = json.dumps(content).encode()
    data.save()
    answers = {'train CONFIG': answer('train CONFIG', data)}
    if answers['train CONFIG'].outcome == ACCEPTED:
        answers['check'] = answer('check', data)
    assert silent(answers) == []
    assert all(found.text or found.outcome == ACCEPTED for found in answers.values())


@pytest.mark.parametrize('cut', [1, 7, 60, 500, 3000], ids=str)
def test_a_file_that_ends_anywhere_is_refused_at_every_door(data, cut):
    data.raw['train'] = json.dumps(healthy('train')).encode()[:-cut]
    data.save()
    for door in DOORS:
        found = answer(door, data)
        assert found.outcome == 'refused'
        assert 'instances_train2017.json' in found.text

"""How findings are counted, shortened and listed."""

import pytest

from swin_mmdet.datasets.problems import DatasetCheckError, Problem, count, listing, some

FIRST, SECOND = Problem('here', 'one thing', 'do\nthis'), Problem('there', 'another', 'that', 'warning', 'kind')


def test_a_problem_is_two_lines_and_more_of_its_remedy():
    assert str(FIRST) == 'here: one thing\n    remedy: do\n            this'
    assert (FIRST.level, FIRST.kind) == ('error', '')
    assert listing([FIRST, SECOND]).splitlines() == [
        '1. here: one thing', '    remedy: do', '            this', '2. there: another', '    remedy: that',
    ]  # fmt: skip


def test_the_error_counts_and_lists_all():
    assert str(DatasetCheckError([SECOND])) == '1 problem with the data:\n1. there: another\n    remedy: that'
    found = DatasetCheckError([FIRST, SECOND])
    assert str(found).startswith('2 problems with the data:\n1. here: ')
    assert found.problems == (FIRST, SECOND)


@pytest.mark.parametrize(
    ('number', 'noun', 'expected'),
    [
        *((1, 'box', '1 box'), (2, 'box', '2 boxes'), (0, 'class', '0 classes'), (1, 'class', '1 class')),
        *((2, 'image', '2 images'), (1, 'image', '1 image')),
    ],
)
def test_counts(number: int, noun: str, expected: str):
    assert count(number, noun) == expected


def test_the_first_of_many_names():
    assert some([1, 2, 3, 4, 5]) == '1, 2, 3, 4, 5'
    assert some([1, 2, 3, 4, 5, 6]) == '1, 2, 3, 4, 5, ... (6 in all)'
    assert some(['a', 'b', 'c'], 2) == 'a, b, ... (3 in all)'
    assert some([]) == ''

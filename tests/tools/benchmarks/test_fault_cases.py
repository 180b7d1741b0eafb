"""Data with one fault each, or none: refused, warned of or taken at two doors as is right, and seen as the truth is."""

from collections import Counter

import pytest
from fault_cases.case import ACCEPTED
from fault_cases.doors import answer, verdict
from fault_cases.every import CASES, made

pytestmark = pytest.mark.long


def test_every_kind_has_several_examples_and_healthy_neighbours():
    kinds = Counter((case.kind, case.right == ACCEPTED) for case in CASES)
    for kind in ('pixels', 'masks', 'numbers', 'ids', 'splits', 'files', 'paths'):
        assert kinds[kind, False] >= 3, kind
        assert kinds[kind, True] >= 2, kind
    assert kinds['healthy', True] >= 3
    assert len(CASES) == len({(case.kind, case.name) for case in CASES}) >= 175


@pytest.mark.parametrize('case', CASES, ids=lambda case: f'{case.kind}: {case.name}')
def test_a_case_is_treated_as_is_right(case, tmp_path):
    """`train.py --data` goes the same way as a config; tools/benchmarks/data_faults.py runs it and the programs."""
    data = made(case, tmp_path / 'data')
    for door in ('check', 'train CONFIG'):
        assert verdict(case, door, answer(door, data)) == '', door

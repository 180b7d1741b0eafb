"""Data with one fault each, or none: refused, warned of or taken at two doors as is right, and seen as the truth is."""

from collections import Counter

import pytest
from fault_cases.case import ACCEPTED, REFUSED
from fault_cases.doors import DOORS, answer, verdict
from fault_cases.every import CASES, made
from fault_cases.programs import run_program

pytestmark = pytest.mark.long
# of each kind the first that is refused, else the first
REFUSALS = [case for case in CASES if case.right == REFUSED]
ONE_OF_EACH = {case.kind: case for case in reversed([*REFUSALS, *CASES])}


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


@pytest.mark.parametrize('door', DOORS)
@pytest.mark.parametrize('kind', sorted(ONE_OF_EACH))
def test_the_programs_themselves_do_the_same(kind, door, tmp_path):
    case = ONE_OF_EACH[kind]
    assert run_program(door, case, made(case, tmp_path / 'data'))[1] == ''

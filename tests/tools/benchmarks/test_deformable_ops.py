"""The benchmark of the deformable operations: both ways compute the same, and what is missing is said."""

import deformable_ops
import pytest
import torch

from tests.numerics import assert_equal_to_definition


@pytest.fixture
def tiny(monkeypatch):
    cases = {'tiny': (((3, 4), (2, 2)), None, 1.5), 'few': (((3, 4),), 5, 1.5)}
    monkeypatch.setattr(deformable_ops, 'ATTENTION', cases)
    monkeypatch.setattr(deformable_ops, 'CONVOLUTION', {'tiny': (8, 4, 5)})


@pytest.mark.parametrize(('operation', 'case'), [('attention', 'tiny'), ('attention', 'few'), ('convolution', 'tiny')])
@pytest.mark.usefixtures('tiny')
def test_the_ways_are_one_operation_with_the_same_gradients(operation, case):
    _, make, runs, learning = deformable_ops.OPERATIONS[operation]
    results = []
    for run in runs.values():
        inputs = make(case, torch.float32, 'cpu')
        for index in learning:
            inputs[index].requires_grad_()
        out = run(*inputs)
        results.append([out, *torch.autograd.grad(out.square().sum(), [inputs[index] for index in learning])])
    for ours, theirs in zip(*results, strict=True):
        assert_equal_to_definition(ours, theirs)


@pytest.mark.usefixtures('tiny')
def test_a_way_runs_forward_and_backward_and_the_floor_counts_its_bytes():
    inputs = deformable_ops.convolution_inputs('tiny', torch.float32, 'cpu')
    deformable_ops.make_way(deformable_ops.ours_convolution, inputs, (0, 1), backward=True)()
    out = deformable_ops.ours_convolution(*inputs)
    numbers = 2 * 4 * 5 * (8 + 18 + 9 + 8) + 8 * 8 * 9 + 8
    seconds = 4 * numbers / (deformable_ops.TERABYTES_PER_SECOND * 1e12)
    assert deformable_ops.floor_ms(inputs, out, backward=False) == pytest.approx(1000 * seconds)
    assert deformable_ops.floor_ms(inputs, out, backward=True) == pytest.approx(3000 * seconds)


def test_rows_say_what_is_missing(monkeypatch):
    monkeypatch.setattr(deformable_ops, 'why_no_mmcv', lambda: 'no compiled mmcv is installed')
    monkeypatch.setattr(deformable_ops, 'graphed', lambda way: way)
    monkeypatch.setattr(deformable_ops, 'make_way', lambda *_: None)
    monkeypatch.setattr(deformable_ops, 'floor_ms', lambda *_: 1.0)
    monkeypatch.setattr(deformable_ops, 'measure', lambda ways, _: {key: {'median ms': 2.0} for key in ways})
    runs = dict.fromkeys(('ours', 'mmcv'), lambda *_: None)
    monkeypatch.setattr(deformable_ops, 'OPERATIONS', {'one': ({}, lambda *_: [], runs, ())})
    rows = deformable_ops.rows_of('one', 'case', ['bf16'], False, 1)
    assert [(row['way'], row['median ms'], row['failed']) for row in rows] == [
        ('ours bf16', 2.0, ''),
        ('mmcv bf16', None, 'no compiled mmcv is installed'),
    ]

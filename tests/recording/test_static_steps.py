"""A step over places of which some are empty has the losses and gradients of a step over what there is."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmengine.optim import OptimWrapper
from torch.overrides import TorchFunctionMode

from swin_mmdet.recording.static_inputs import MIN_OBJECTS, StaticInputs, room_for
from swin_mmdet.recording.training_step import Gradients, Kind, run_step
from tests.recording.small_detectors import CASES, WITHOUT_MASKS, batch, small_detector

COUNTS = {'some': (3, 5), 'none': (0, 0), 'none and one': (0, 1), 'more than the usual room': (MIN_OBJECTS + 3, 2)}


def plain_step(model, data):
    prepared = model.data_preprocessor(copy.deepcopy(data), True)
    total, logged = model.parse_losses(model._run_forward(prepared, mode='loss'))
    model.zero_grad()
    total.backward()
    return logged, [x.grad for x in model.parameters()]


def static_step(model, data, inputs=None):
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    prepared = model.data_preprocessor(copy.deepcopy(data), True)
    images, samples = prepared['inputs'], prepared['data_samples']
    inputs = inputs or StaticInputs(room_for(samples), images.device)
    kind = Kind(torch.empty_like(images), inputs)
    kind.fill(images, samples)
    trained = list(model.parameters())
    results = run_step(model, wrapper, kind, trained, Gradients(trained))
    return dict(zip(results.names, results.values, strict=True)), results.gradients


def assert_same(one, other, tolerance=1e-5):
    (losses, gradients), (expected, expected_gradients) = one, other
    assert list(losses) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value.float(), rtol=tolerance, atol=1e-6, msg=name)
    for found, gradient in zip(gradients, expected_gradients, strict=True):
        zero = torch.zeros(1)
        found, gradient = (zero if x is None else x for x in (found, gradient))
        assert (found - gradient).norm() <= tolerance * gradient.norm() + 1e-7


@pytest.mark.parametrize('counts', COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize('name', CASES)
def test_empty_places_change_nothing(name, counts):
    model = small_detector(name)
    data = batch(counts, with_masks=name not in WITHOUT_MASKS)
    assert_same(static_step(model, data), plain_step(model, data))


def test_what_an_earlier_batch_left_in_the_places_is_not_looked_at():
    model = small_detector('mask')
    full, sparse = batch((60, 70), seed=1), batch((2, 0), seed=2)
    inputs = StaticInputs(room_for(full['data_samples']), torch.device('cpu'))
    static_step(model, full, inputs)
    assert_same(static_step(model, sparse, inputs), plain_step(model, sparse))


class NoNumbersOfTheHost(TorchFunctionMode):
    """A recording reads their memory, which is another's by the time of its replays."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        del types
        assert function not in MAKE_TENSORS, f'{function} of {args}'
        return function(*args, **(kwargs or {}))


MAKE_TENSORS = torch.tensor, torch.as_tensor, torch.from_numpy, torch.Tensor.new_tensor


@pytest.mark.parametrize('name', CASES)
def test_a_second_step_makes_no_tensors_of_numbers(name):
    model, data = small_detector(name), batch(with_masks=name not in WITHOUT_MASKS)
    static_step(model, data)
    run, seen = run_step, []

    def watched(*step):
        seen.append(step)
        with NoNumbersOfTheHost():
            return run(*step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(static_step.__globals__, 'run_step', watched)
        static_step(model, data)
    assert seen


def test_more_padding_hardly_moves_the_losses():
    """As little as the company of larger images, which pads in the same way."""
    model, found = small_detector('mask'), []
    data = batch((5, 6), ((224, 320), (256, 256)))
    for more in (0, 32, 64, 96):
        torch.manual_seed(1)
        prepared = model.data_preprocessor(
            copy.deepcopy(data), True, fit_size=lambda size, more=more: (size[0] + more, size[1] + more)
        )
        assert prepared['inputs'].shape[2:] == (256 + more, 320 + more)
        with torch.no_grad():
            found.append(model.parse_losses(model._run_forward(prepared, mode='loss'))[1])
    for losses in found[1:]:
        assert losses['loss'].item() == pytest.approx(found[0]['loss'].item(), rel=0.01)

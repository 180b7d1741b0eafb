"""The one tolerance policy of the suite."""

import torch
from torch import Tensor

# what issue and README promise against the published definition
FP64_TOLERANCE = 1e-10
FP32_TOLERANCE = 1e-5


def assert_equal_to_definition(actual: Tensor, expected: Tensor, name: str = '') -> None:
    """Absolute error below the promise of `actual`'s dtype, for values of about 1; larger values count relatively."""
    tolerance = {torch.float64: FP64_TOLERANCE, torch.float32: FP32_TOLERANCE}[actual.dtype]
    assert actual.shape == expected.shape, f'{name}: {tuple(actual.shape)} is not {tuple(expected.shape)}'
    error = (actual.double() - expected.double()).abs().max() if actual.numel() else torch.zeros(())
    magnitude = expected.abs().max().clamp(min=1) if expected.numel() else 1
    assert error <= tolerance * magnitude, f'{name}: error {error:.2e} at magnitude {magnitude:.2g}'


def assert_no_worse_than_eager(fast: Tensor, eager: Tensor, truth: Tensor, factor: float = 2.0) -> None:
    """`fast` may err at most `factor` times as much as `eager` of the same dtype does, plus one rounding step.

    `truth` is the reference one precision up: float64 for float32, float32 for half.
    """
    error, allowed = _error_and_allowed(fast, eager, truth, factor)
    assert error <= allowed, f'error {error:.2e}, allowed {allowed:.2e}'


def assert_mostly_no_worse_than_eager(
    fast: list[Tensor], eager: list[Tensor], truth: list[Tensor], factor: float = 2.0, gross: float = 10.0
) -> None:
    """The policy over several draws of hard values, where one draw's largest error is a noisy figure.

    Where softmax hangs on near ties, or few numbers are compared, errors have long tails, of `eager` as well, and they
    depend on the processor. So the middle draw keeps the policy, and no draw errs `gross` times as much as it allows.
    """
    draws = [_error_and_allowed(*one, factor) for one in zip(fast, eager, truth, strict=True)]
    middle = len(draws) // 2
    kept = sum(error <= allowed for error, allowed in draws)
    said = ', '.join(f'{error:.2e} of {allowed:.2e}' for error, allowed in draws)
    assert kept > middle, f'{kept} of {len(draws)} draws err as little as allowed: {said}'
    assert all(error <= gross * allowed for error, allowed in draws), f'a draw errs {gross} times as allowed: {said}'


def _error_and_allowed(fast: Tensor, eager: Tensor, truth: Tensor, factor: float) -> tuple[Tensor, Tensor]:
    rounded = truth.to(fast.dtype)
    floor = 2 * (rounded + 0.3 - 0.3 - rounded).abs().max()
    error, allowed = ((x.to(truth.dtype) - truth).abs().max() for x in (fast, eager))
    return error, factor * allowed + floor


def assert_model_no_worse_than_eager(
    fast: list[Tensor], eager: list[Tensor], truth: list[Tensor], dtype: torch.dtype, factor: float = 2.0
) -> None:
    """The policy for the outputs and gradients of a whole model, each relative to its own magnitude.

    One tensor of few numbers may be lucky in `eager`, so the worst of `fast` is held against the worst of `eager`.
    """

    def worst(tensors: list[Tensor]) -> float:
        errors = [
            ((x.to(t.dtype) - t).abs().max() / t.abs().max().clamp(min=1e-20)).item()
            for x, t in zip(tensors, truth, strict=True)
        ]
        assert not any(error != error for error in errors), 'not a number'
        return max(errors)

    error, allowed = worst(fast), factor * worst(eager) + torch.finfo(dtype).eps
    assert error <= allowed, f'error {error:.2e}, allowed {allowed:.2e}'

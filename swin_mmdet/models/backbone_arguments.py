"""What a backbone's arguments may be: each mistake by name and value, before anything is built."""

from collections.abc import Collection, Sequence


def per_stage(name: str, value: int | Sequence[int], num_stages: int, minimum: int) -> tuple[int, ...]:
    """A number for every stage, from one or from one each."""
    values = tuple(value) if isinstance(value, Sequence) else (value,) * num_stages
    if len(values) != num_stages:
        raise ValueError(f'{name}={value!r} must be one integer, or one for each of the {num_stages} stages')
    for item in values:
        check_at_least(name, item, minimum)
    return values


def check_at_least(name: str, value: int, minimum: int) -> None:
    """An integer."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise ValueError(f'{name}={value!r} must be an integer of at least {minimum}')


def checked_out_indices(out_indices: Sequence[int], num_stages: int) -> tuple[int, ...]:
    """The stages whose maps are returned."""
    indices = tuple(out_indices)
    if not indices or list(indices) != sorted(set(indices)) or not 0 <= indices[0] <= indices[-1] < num_stages:
        raise ValueError(f'out_indices={out_indices} must be ascending, without repeats, from 0 .. {num_stages - 1}')
    return indices


def checked_with_cp(with_cp: bool | Collection[int], num_stages: int) -> set[int]:
    """The stages that are checkpointed."""
    if isinstance(with_cp, bool):
        return set(range(num_stages)) if with_cp else set()
    if isinstance(with_cp, int) or not set(with_cp) <= set(range(num_stages)):
        raise ValueError(f'with_cp={with_cp!r} must be True, False or stages from 0 .. {num_stages - 1}')
    return set(with_cp)


def check_rate(name: str, rate: float) -> None:
    """A probability to drop something: never all of it."""
    if not 0 <= rate < 1:
        raise ValueError(f'{name}={rate} must be at least 0 and less than 1')

"""Settings of property tests: the same examples in every run, on every machine."""

from hypothesis import settings


def law(examples: int) -> settings:
    """Decorates a test that `given` feeds; no example has a time limit, for machines differ."""
    return settings(derandomize=True, deadline=None, database=None, max_examples=examples)

"""Fixtures for trainings in processes of their own."""

import multiprocessing
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    """A test that fails leaves trainings behind, also frozen ones, for which pytest would wait at its end."""
    yield
    for process in multiprocessing.active_children():
        process.kill()
        process.join()

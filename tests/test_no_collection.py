"""The collector of garbage rests within the context, and is afterwards as it was."""

import gc

import pytest

from swin_mmdet.no_collection import no_collection


@no_collection()
def break_off() -> None:
    """In the middle of what the collector is to leave alone."""
    raise ValueError(f'broken off, {gc.isenabled()}')


@pytest.mark.parametrize('before', [True, False])
def test_the_collector_rests(before: bool):
    (gc.enable if before else gc.disable)()
    try:
        with pytest.raises(ValueError, match='broken off, False'):
            break_off()
        assert gc.isenabled() is before
    finally:
        gc.enable()

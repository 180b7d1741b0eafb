"""What grows is told from what only varies."""

import mmap
import threading
from functools import lru_cache
from pathlib import Path

import pytest
import soak


def rows(**growth: float) -> list[dict[str, float]]:
    """Looks at a training of 5,000 steps: memory settles in the first half, and varies by 3 MiB after it."""
    looks = []
    for step in range(50, 5001, 50):
        look = step // 50
        settled = {
            'host MiB': 900 + min(step, 2400) / 8 + look % 4,
            'GPU MiB': 500,
            'open files': 20 + look % 2,
            'threads': 5,
            'objects': 90_000 + look % 7,
            'cached results': min(look, 45),
            'recordings': 4,
        }
        grown = {name: value + growth.get(name, 0) * step / 1000 for name, value in settled.items()}
        looks.append({'step': step} | grown)
    return looks


def test_a_run_that_only_varies_passes(capsys: pytest.CaptureFixture):
    found = soak.report(rows())
    assert [row['quantity'] for row in found] == list(soak.BOUNDS)
    assert not any(row['grows'] for row in found)
    assert 'GROWS' not in capsys.readouterr().out


@pytest.mark.parametrize('name', soak.BOUNDS)
def test_each_quantity_has_a_bound_that_fails(name: str, capsys: pytest.CaptureFixture):
    found = soak.report(rows(**{name: 2 * soak.BOUNDS[name]}))
    assert [row['quantity'] for row in found if row['grows']] == [name]
    grown = [line for line in capsys.readouterr().out.splitlines() if line.endswith('GROWS')]
    assert [line.partition(':')[0] for line in grown] == [name]


def test_a_run_that_was_too_short_shows_nothing(user_error: type[Exception]):
    for few in (rows()[:19], []):
        with pytest.raises(user_error, match='a line wants 20'):
            soak.report(few)


def test_remembered_results_of_the_package_are_found():
    from swin_mmdet.ops import windows

    remembering = [one for one in vars(windows).values() if hasattr(one, 'cache_info')]
    assert remembering
    assert set(remembering) <= set(soak.caches())


def test_what_leaks_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Files, a thread, memory, remembered results, a recording that are kept, as a leak of a training keeps them."""
    from swin_mmdet.ops import windows
    from swin_mmdet.recording.training_step import StepRecording

    remembering = lru_cache(maxsize=None)(abs)
    monkeypatch.setattr(windows, 'remembering', remembering, raising=False)
    # what tests before this one have left behind is gone after the first look
    soak.quantities()
    before, end = soak.quantities(), threading.Event()
    files = [open(tmp_path / str(number), 'w') for number in range(3)]  # noqa: SIM115
    recording = StepRecording(None, None)
    waiting = threading.Thread(target=end.wait)
    waiting.start()
    kept = [[number] for number in range(10_000)]
    # of the system, for what Python or torch gave back before may be given again
    memory = mmap.mmap(-1, 64 * soak.MIB)
    memory.write(b'1' * len(memory))
    try:
        for number in range(5):
            remembering(number)
        after = soak.quantities()
    finally:
        end.set()
        waiting.join()
        for file in files:
            file.close()
    grown = {name: after[name] - value for name, value in before.items()}
    assert grown.pop('host MiB') > 60
    memory.close()
    # and what the others are made of
    assert grown.pop('objects') == pytest.approx(len(kept), rel=0.1)
    assert grown == {'GPU MiB': 0, 'open files': 3, 'threads': 1, 'cached results': 5, 'recordings': 1}
    assert not recording.read

"""Long work says how far it has come: in lines, or in a bar at a terminal."""

import io
import sys

import pytest

from swin_mmdet import progress
from swin_mmdet.progress import with_progress


@pytest.fixture
def clock(monkeypatch):
    """Each look at the clock is two seconds later."""
    time = iter(range(0, 10**6, 2))
    monkeypatch.setattr(progress.time, 'monotonic', lambda: next(time))


@pytest.mark.usefixtures('clock')
def test_lines_come_now_and_then(monkeypatch):
    monkeypatch.setattr(sys, 'stderr', io.StringIO())
    lines = []
    assert list(with_progress(range(20), 20, 'images', lines.append)) == list(range(20))
    assert lines == ['images: 6 of 20, 0/s, 28 s left', 'images: 12 of 20, 0/s, 16 s left',
                     'images: 18 of 20, 0/s, 4 s left']  # fmt: skip


def test_what_is_done_soon_says_nothing(monkeypatch):
    console = io.StringIO()
    monkeypatch.setattr(sys, 'stderr', console)
    lines = []
    assert list(with_progress(range(500), 500, 'images', lines.append)) == list(range(500))
    assert lines == []
    monkeypatch.setattr(console, 'isatty', lambda: True)
    assert list(with_progress(range(500), 500, 'images', lines.append)) == list(range(500))
    assert 'images' not in console.getvalue()


def test_a_terminal_has_a_bar(monkeypatch):
    console = io.StringIO()
    console.isatty = lambda: True
    monkeypatch.setattr(sys, 'stderr', console)
    monkeypatch.setattr(progress, 'SOON', 0.0)
    assert list(with_progress(range(5), 5, 'images')) == list(range(5))
    assert 'images' in console.getvalue()
    assert '5/5' in console.getvalue() or '0/5' in console.getvalue()

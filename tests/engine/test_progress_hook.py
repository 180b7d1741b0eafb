"""A bar at a terminal that leaves the lines of the log whole, and nothing elsewhere."""

import io
import logging
import re
from types import SimpleNamespace

import pytest

from swin_mmdet.engine.progress_hook import ProgressHook


class Terminal(io.StringIO):
    """Text with what a terminal would do to it."""

    def isatty(self):
        return True

    def shown(self):
        """The lines that stand at the end, moved and overwritten as they were written."""
        lines, row, column = [''], 0, 0
        for part in re.findall(r'\x1b\[A|[\r\n]|[^\x1b\r\n]+', self.getvalue()):
            if part == '\x1b[A':
                row -= 1
            elif part == '\r':
                column = 0
            elif part == '\n':
                row, column = row + 1, 0
                lines += [''] * (row + 1 - len(lines))
            else:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + part + line[column + len(part) :]
                column += len(part)
        return [line.rstrip() for line in lines]


@pytest.fixture
def runner():
    log = logging.Logger('run')
    loader = [None] * 3
    return SimpleNamespace(logger=log, max_iters=20, iter=5, val_dataloader=loader, test_dataloader=loader)


def train(hook, runner, steps=15):
    hook.before_train(runner)
    for step in range(steps):
        hook.after_train_iter(runner, batch_idx=step, data_batch=dict(inputs=[0, 0]), outputs=None)
        if step % 5 == 0:
            runner.logger.info(f'step {step}: loss 1.0')
        if step == 7:
            hook.before_val_epoch(runner)
            for index in range(3):
                hook.after_val_iter(runner, batch_idx=index, data_batch=dict(inputs=[0]), outputs=[])
            hook.after_val_epoch(runner, metrics={})
            runner.logger.info('AP 0.5')


def test_lines_of_the_log_stay_whole_above_the_bar(runner, monkeypatch):
    terminal = Terminal()
    runner.logger.addHandler(logging.StreamHandler(terminal))
    monkeypatch.setattr('swin_mmdet.engine.progress_hook.SOON', 0.0)
    monkeypatch.setattr('swin_mmdet.engine.progress_hook.INTERVAL', 0.0)
    hook = ProgressHook(terminal)
    train(hook, runner)
    during = terminal.getvalue()
    assert '6/20' in during or '5/20' in during
    assert 'evaluation' in during
    hook.after_train(runner)
    runner.logger.info('the end')
    lines = [line for line in terminal.shown() if line]
    assert lines == ['step 0: loss 1.0', 'step 5: loss 1.0', 'AP 0.5', 'step 10: loss 1.0', 'the end']
    assert 'images/s' in during
    assert not any(handler.filters for handler in runner.logger.handlers)


def test_a_test_alone_leaves_nothing_behind(runner, monkeypatch):
    terminal = Terminal()
    runner.logger.addHandler(logging.StreamHandler(terminal))
    monkeypatch.setattr('swin_mmdet.engine.progress_hook.SOON', 0.0)
    monkeypatch.setattr('swin_mmdet.engine.progress_hook.INTERVAL', 0.0)
    hook = ProgressHook(terminal)
    hook.before_test_epoch(runner)
    hook.after_test_iter(runner, batch_idx=0, data_batch=dict(inputs=[0]), outputs=[])
    hook.after_test_epoch(runner, metrics={})
    assert 'evaluation' in terminal.getvalue()
    assert not [line for line in terminal.shown() if line]
    assert not any(handler.filters for handler in runner.logger.handlers)


def test_nothing_is_drawn_where_there_is_no_terminal(runner):
    console = io.StringIO()
    runner.logger.addHandler(logging.StreamHandler(console))
    hook = ProgressHook(console)
    train(hook, runner)
    hook.after_train(runner)
    assert console.getvalue().splitlines() == [
        'step 0: loss 1.0', 'step 5: loss 1.0', 'AP 0.5', 'step 10: loss 1.0'
    ]  # fmt: skip


def test_bars_begin_where_a_run_goes_on_and_have_their_names(runner):
    hook = ProgressHook(Terminal())
    hook.before_train(runner)
    hook.before_val_epoch(runner)
    names = [bar.desc.removesuffix(': ') for bar in (hook.training, hook.evaluation)]
    assert names == ['training', 'evaluation']
    bars = [(bar.n, bar.total, bar.delay, bar.pos, bar.leave) for bar in (hook.training, hook.evaluation)]
    assert bars == [(5, 20, 0.0, 0, False), (0, 3, 1.0, -1, False)]
    hook.close()
    runner.test_dataloader = [None] * 4
    hook.before_test_epoch(runner)
    assert (hook.training, hook.evaluation.total, hook.evaluation.pos) == (None, 4, 0)
    hook.close()
    assert hook.evaluation is None


def test_other_processes_draw_nothing(runner, monkeypatch):
    monkeypatch.setattr('swin_mmdet.engine.progress_hook.is_main_process', lambda: False)
    hook = ProgressHook(Terminal())
    train(hook, runner)
    assert hook.training is None
    assert hook.console.getvalue() == ''


@pytest.mark.parametrize(('batch', 'rate', 'elapsed', 'words'), [
    (dict(inputs=[0, 0]), 2.5, 4.0, '5.0 images/s'), (dict(inputs=[0, 0]), None, 4.0, '4.0 images/s'),
    (dict(inputs=[0, 0]), None, 0, '0.0 images/s'), (None, 2.5, 4.0, '2.5 images/s'), ({}, 2.5, 4.0, '0.0 images/s'),
])  # fmt: skip
def test_images_a_second(batch, rate, elapsed, words):
    """Until tqdm has a rate it is that of all steps since the start, which were eight."""
    bar = SimpleNamespace(format_dict=dict(rate=rate, elapsed=elapsed), n=9, initial=1)
    assert ProgressHook()._rate(bar, batch) == words

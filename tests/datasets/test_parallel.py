"""Work shared among processes gives what one gives."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from swin_mmdet.datasets import parallel
from swin_mmdet.datasets.parallel import in_processes
from swin_mmdet.errors import UserError

pytestmark = pytest.mark.skipif(not parallel._can_fork(), reason='processes cannot be forked here')


@pytest.mark.parametrize('number', [0, 1, 199, 200, 1234])
def test_results_come_in_order(number):
    items = np.arange(number)
    found = list(in_processes(lambda item: (int(item) ** 2, os.getpid()), items, 'squared'))
    assert [square for square, _ in found] == [int(item) ** 2 for item in items]
    here = {pid for _, pid in found} <= {os.getpid()}
    assert here == (number < 200)


def test_a_process_that_is_killed_is_said():
    def work(item):
        if item == 150:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(UserError, match='--quick'):
        list(in_processes(work, range(300), 'killed'))


def test_an_error_is_that_of_the_work():
    with pytest.raises(ZeroDivisionError):
        list(in_processes(lambda item: 1 / (item - 250), range(300), 'divided'))


def test_who_stops_asking_leaves_no_process():
    results = in_processes(lambda _: os.getpid(), range(5000), 'asked')
    pid = next(results)
    results.close()
    assert pid != os.getpid()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_processes_end_with_a_parent_that_is_killed():
    code = '''
        import os, time
        from swin_mmdet.datasets.parallel import in_processes
        for pid in in_processes(lambda item: time.sleep(0.01 * (item % 100 == 0)) or os.getpid(), range(10**6), 'a'):
            print(pid, flush=True)
            if pid: os.kill(os.getpid(), 9)
    '''
    done = subprocess.run([sys.executable, '-c', textwrap.dedent(code)], capture_output=True, text=True, check=False)
    pid = int(done.stdout.split()[0])
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            state = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
        except OSError:
            return
        if state == 'Z':  # nobody asks for its end
            return
        time.sleep(0.05)
    pytest.fail(f'process {pid} lives on')

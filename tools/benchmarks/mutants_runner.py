"""Runs mutmut for mutants.py: in a process of its own, which has imported nothing of the library that is not changed.

    python mutants_runner.py PROCESSES     # in the folder that mutants.py has made

Of each room's tests it first finds which pass and which run what, then it tries the mutants, in a random order, so that
those of a run that is cut short are a random part. For every mutant a process is forked that has all modules already.
"""

import os
import random
import signal
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from mutmut import __main__ as mutmut
from mutmut.mutation.data import SourceFileMutationData
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd
from mutmut.workers.isolation import ForkServerRunner

PROCESSES = int(sys.argv[1])


class Watch:
    """Plugin of pytest: how long each test takes, whether it fails and which changed functions it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self.functions: dict[str, set[str]] = {}

    def pytest_runtest_teardown(self, item) -> None:
        self.functions[item.nodeid] = set(state()._stats)
        state()._stats.clear()

    def pytest_runtest_logreport(self, report) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.add(report.nodeid)


def watch(tests: list[str]) -> Watch:
    """Run them."""
    watched = Watch()
    with change_cwd('mutants'), open(os.devnull, 'w') as sys.stdout:
        PytestRunner().execute_pytest(['-q', *tests], plugins=[watched])
    return watched


def collect_stats(self: ForkServerRunner, _: Iterable[str]) -> int:
    """mutmut's own runs all tests in one process, and gives up when one fails."""
    by_file: dict[str, list[str]] = {}
    for test in sorted(self.list_all_tests().ids):
        by_file.setdefault(test.partition('::')[0], []).append(test)
    with ProcessPoolExecutor(PROCESSES, get_context('fork')) as pool:
        # those of programs, last in the alphabet, take longest and begin first
        for watched in pool.map(watch, reversed(by_file.values())):
            for test in sorted(watched.failed):
                print(f'fails without a change, and is left out: {test}', file=sys.__stderr__)
            for test in watched.functions.keys() - watched.failed:
                state().duration_by_test[test] = watched.seconds[test]
                for function in watched.functions[test]:
                    state().tests_by_mangled_function_name[function].add(test)
    return 0


def arguments(self: PytestRunner, tests: Iterable[str]) -> list[str]:
    """Fast tests first, for the first that fails ends the run."""
    return of_mutmut(self, sorted(tests, key=state().duration_by_test.get))


def save(self: SourceFileMutationData) -> None:
    """Whole, also when the run is cut short meanwhile."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    as_mutmut_does(self)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


as_mutmut_does = SourceFileMutationData.save
SourceFileMutationData.save = save
of_mutmut = PytestRunner._pytest_args_regular_run
PytestRunner._pytest_args_regular_run = arguments
ForkServerRunner.collect_stats = collect_stats
# that has shown that the tests pass, and each mutant shows that they can fail
ForkServerRunner.run_clean_tests = lambda *_, **__: 0
mutmut.run_forced_fail_test = lambda _: None
mutmut.estimated_worst_case_time = lambda mutant: random.Random(mutant).random()  # what mutants are sorted by
del sys.path[0]  # the folder of this file, whose modules are called as others are
PytestRunner().warm_up()  # imports all that is forked later, and runs nothing
mutmut._run((), PROCESSES)

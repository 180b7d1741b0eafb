"""Say what is installed and what runs on this machine, what is wrong with it, and the one line that mends each."""

import argparse
import sys
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__, epilog='Exits with 1 if something is broken; hints alone exit with 0.')
    parser.add_argument(
        '--no-run', action='store_true', help='look at versions and limits alone; else every package is tried'
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    import swin_mmdet
    from swin_mmdet.doctor.machine import gpus_by_driver, machine_findings
    from swin_mmdet.doctor.packages import package_findings
    from swin_mmdet.doctor.trials import findings, try_all

    found = package_findings()
    print(f'swin_mmdet {swin_mmdet.__version__} in {Path(swin_mmdet.__file__).parent}')
    show(found)
    tried = [] if args.no_run else findings(try_all(), gpus_by_driver())
    machine = machine_findings(Path.cwd())
    if tried:
        print('\ntried:')
        show(tried)
    print('\nthis machine:')
    show(machine)
    wrong = [finding for finding in (*found, *tried, *machine) if finding.wrong]
    # the list of packages and the trial say the same of one that is not there
    said = {finding.name: finding for finding in reversed(wrong) if finding.is_broken}
    broken = list(reversed(said.values()))
    hints = [finding for finding in wrong if not finding.is_broken]
    for listed, noun in ((broken, 'problem'), (hints, 'hint')):
        print(f'\n{len(listed)} {noun}{"" if len(listed) == 1 else "s"}{":" if listed else ""}')
        for number, finding in enumerate(listed, 1):
            print(f'{number}. {finding.name}: {finding.wrong}\n    {finding.remedy}')
    sys.stdout.flush()
    return int(bool(broken))


def show(found: list) -> None:
    """A line for each finding."""
    width = max((len(finding.name) for finding in found), default=0)
    for finding in found:
        print(f'  {finding.name:<{width}}  {finding.value}')
    sys.stdout.flush()

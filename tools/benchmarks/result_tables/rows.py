"""Result files as rows, and rows as tables of Markdown."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / 'results'
NOT_YET = 'Not measured yet.'


def markdown(names: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table."""
    lines = [names, ['---' for _ in names], *rows]
    return '\n'.join('| ' + ' | '.join(map(str, cells)) + ' |' for cells in lines)


def link(text: str, path: Path, here: Path) -> str:
    """A link to a result from a file in the folder `here`."""
    return f'[{text}]({Path(os.path.relpath(path, here)).as_posix()})'


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def read_all(pattern: str) -> dict[Path, list[dict[str, str]]]:
    """The rows of every file of that name."""
    return {path: read_csv(path) for path in sorted(RESULTS.glob(pattern))}


def device_of(row: dict[str, str]) -> str:
    triton = f', triton {row["triton"]}' if row['triton'] else ''
    return f'{row["device"]}, torch {row["torch"]}{triton}'


def case_of(row: dict[str, str]) -> str:
    return f'{row["mode"]}, batch {row["batch"]}'


def model_of(row: dict[str, str]) -> str:
    return f'{row["variant"]}, window {row["window"]}, {row["dtype"]}'

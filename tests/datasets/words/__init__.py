"""What a user is told, whole and word for word: cases and their texts, beside the tests that ask for them."""

from pathlib import Path

FOLDER = Path(__file__).parent


def words_of(name: str) -> dict[str, list[str]]:
    """The lines below each `== case` of a text file."""
    cases: dict[str, list[str]] = {}
    for line in (FOLDER / f'{name}.txt').read_text().splitlines():
        if line.startswith('== '):
            lines = cases[line.removeprefix('== ')] = []
        else:
            lines.append(line)
    return cases

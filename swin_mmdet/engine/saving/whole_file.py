"""Files that are there as a whole or not at all, whenever the process or the machine ends."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# NAME.PROCESS.part: no reader of checkpoints takes it for one
PART = re.compile(r'.+\.\d+\.part')


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A path beside this one to write to; on leaving, the file is on the disk and takes the place of the old one.

    A link in that place is replaced, not followed. If the block fails, nothing is left of it.
    """
    path = Path(path)
    beside = path.with_name(f'{path.name}.{os.getpid()}.part')
    beside.unlink(missing_ok=True)
    try:
        # without following a link that somebody else may have put there
        os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield beside
        _to_disk(beside)
        os.replace(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    # some network file systems refuse it for folders
    with suppress(OSError):
        _to_disk(path.parent)


def write_text(path: str | Path, text: str) -> None:
    with whole_file(path) as beside:
        beside.write_text(text)


def remove_left_overs(folder: str | Path) -> list[str]:
    """Remove what a killed process has left of files that it was writing into this folder; their names."""
    found = [path for path in Path(folder).glob('*.part') if PART.fullmatch(path.name) and not path.is_dir()]
    for path in found:
        path.unlink(missing_ok=True)
    return sorted(path.name for path in found)


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

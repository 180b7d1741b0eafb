"""What decoders of images print by themselves, past Python: kept from the console, where it names no file."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# of libjpeg (jerror.h), libpng and OpenCV's own log
OF_DECODERS = re.compile(
    rb'Corrupt JPEG data|Premature end of JPEG file|Invalid SOS parameters|Inconsistent progression sequence'
    rb'|Unknown Adobe color transform|Warning: unknown JFIF revision|libpng (warning|error)|\[ ?(WARN|ERROR):\d+@'
)


@contextmanager
def decoder_lines() -> Iterator[list[str]]:
    """A list that has, behind the block, what decoders printed in it; whatever else was printed goes on to stderr."""
    lines: list[str] = []
    stderr = os.dup(2)
    caught = _file()
    os.dup2(caught, 2)
    try:
        yield lines
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        if size := os.fstat(caught).st_size:
            for line in os.pread(caught, size, 0).splitlines(keepends=True):
                if OF_DECODERS.match(line):
                    lines.append(line.decode(errors='replace').strip())
                else:
                    os.write(2, line)
        os.close(caught)


def _file() -> int:
    """A descriptor of an empty file without a name."""
    if hasattr(os, 'memfd_create'):
        return os.memfd_create('stderr')
    descriptor, name = tempfile.mkstemp()
    os.unlink(name)
    return descriptor

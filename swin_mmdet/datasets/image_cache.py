"""What was seen of image files, kept from one check to the next: a file of the same size and time is not read again."""

import hashlib
import json
import os
from dataclasses import astuple
from pathlib import Path

from swin_mmdet.datasets.headers import Header
from swin_mmdet.datasets.pixels import Pixels

# of what is kept; files of another are not read
VERSION = 2


def cache_folder() -> Path:
    """Where the tools keep it: with what programs of this user keep and may lose."""
    return Path.home() / '.cache' / 'swin_mmdet' / 'images'


class ImageCache:
    """One JSON file for each folder of images; without a `folder`, nothing is kept.

    Most images share their headers, which are kept once. Errors of the disk are none of the check's: then files are
    read again.
    """

    def __init__(self, images: Path, folder: Path | None) -> None:
        digest = hashlib.sha1(os.path.abspath(images).encode('utf-8', 'surrogateescape')).hexdigest()
        self.file = folder and folder / f'{digest[:20]}.json'
        self.headers: dict[Header, int] = {}
        self.seen: dict[str, list] = {}
        if self.file:
            self._load()
        self.numbered = list(self.headers)
        self.changed = False

    def get(self, path: str | Path, status: os.stat_result) -> tuple[Header, Pixels | None] | None:
        """Of a file that has not changed since."""
        entry = self.seen.get(str(path))
        if not entry or entry[0] != status.st_size or entry[1] != status.st_mtime_ns:
            return None
        return self.numbered[entry[2]], Pixels(*entry[3]) if entry[3] else None

    def put(self, path: str | Path, status: os.stat_result, header: Header, pixels: Pixels | None) -> None:
        """Remember a file."""
        if not self.file:
            return
        number = self.headers.setdefault(header, len(self.headers))
        if number == len(self.numbered):
            self.numbered.append(header)
        kept = pixels and (pixels.damage, pixels.harmless, pixels.low, pixels.high)
        self.seen[str(path)] = [status.st_size, status.st_mtime_ns, number, kept]
        self.changed = True

    def save(self) -> None:
        """Write what is new, at once or not at all."""
        if not self.file or not self.changed:
            return
        new = self.file.with_suffix(f'.{os.getpid()}')
        kept = {'version': VERSION, 'headers': [astuple(header) for header in self.headers], 'images': self.seen}
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(kept))
            new.replace(self.file)
        except (OSError, ValueError):
            return

    def _load(self) -> None:
        if self.file is None:
            return
        try:
            kept = json.loads(self.file.read_text())
            if kept['version'] != VERSION:
                return
            headers = [Header(tuple(size), tuple(kind), *rest) for size, kind, *rest in kept['headers']]
            images = {
                path: [size, time, range(len(headers))[number], pixels]
                for path, (size, time, number, pixels) in kept['images'].items()
            }
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return
        self.headers = {header: number for number, header in enumerate(headers)}
        self.seen = images

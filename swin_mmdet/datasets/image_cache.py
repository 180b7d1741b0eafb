"""What was seen of image files, kept from one check to the next: a file of the same size and time is not read again."""

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from swin_mmdet.datasets.headers import Header
from swin_mmdet.datasets.pixels import Pixels

# of what is kept; files of another are not read
VERSION = 1


def cache_folder() -> Path:
    """Where the tools keep it: with what programs of this user keep and may lose."""
    return Path.home() / '.cache' / 'swin_mmdet' / 'images'


class ImageCache:
    """One JSON file for each folder of images; without a `folder`, nothing is kept.

    Errors of the disk are none of the check's: then files are read again.
    """

    def __init__(self, images: Path, folder: Path | None) -> None:
        digest = hashlib.sha1(os.path.abspath(images).encode('utf-8', 'surrogateescape')).hexdigest()
        self.file = folder and folder / f'{digest[:20]}.json'
        self.seen = self._load() if self.file else {}
        self.changed = False

    def get(self, path: Path, status: os.stat_result) -> tuple[Header, Pixels | None] | None:
        """Of a file that has not changed since."""
        entry = self.seen.get(str(path))
        if not entry or entry[:2] != [status.st_size, status.st_mtime_ns]:
            return None
        header, pixels = entry[2:]
        size, kind, *rest = header.values()
        return Header(tuple(size), tuple(kind), *rest), pixels and Pixels(**pixels)

    def put(self, path: Path, status: os.stat_result, header: Header, pixels: Pixels | None) -> None:
        """Remember a file."""
        self.seen[str(path)] = [status.st_size, status.st_mtime_ns, asdict(header), pixels and asdict(pixels)]
        self.changed = True

    def save(self) -> None:
        """Write what is new, at once or not at all."""
        if not self.file or not self.changed:
            return
        new = self.file.with_suffix(f'.{os.getpid()}')
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps({'version': VERSION, 'images': self.seen}))
            new.replace(self.file)
        except (OSError, ValueError):
            return

    def _load(self) -> dict:
        if self.file is None:
            return {}
        try:
            kept = json.loads(self.file.read_text())
            return kept['images'] if kept['version'] == VERSION else {}
        except (OSError, ValueError, LookupError, TypeError):
            return {}

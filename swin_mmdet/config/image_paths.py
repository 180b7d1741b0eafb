"""Image files and videos that a user names, alone, by folders or by patterns."""

from collections.abc import Sequence
from glob import glob
from pathlib import Path

from swin_mmdet.config.files import existing
from swin_mmdet.errors import UserError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.wmv', '.mpg', '.mpeg')


def image_paths(names: Sequence[str | Path]) -> list[Path]:
    """Files as given, folders as the images directly in them, patterns (`*`, `?`, `**`) as what they match, sorted.

    Raises:
        UserError: nothing is there, a URL, or a folder without images.
    """
    return [path for name in names for path in _paths(str(name))]


def is_several(name: str | Path) -> bool:
    """A name that stands for any number of files."""
    return not Path(name).is_file() and (Path(name).is_dir() or _is_pattern(str(name)))


def is_video(path: str | Path) -> bool:
    """By its name."""
    return Path(path).suffix.lower() in VIDEO_SUFFIXES


def _paths(name: str) -> list[Path]:
    if '://' in name:
        raise UserError(f'{name} is a URL: download the file and give its path')
    if _is_pattern(name) and not Path(name).exists():
        return _matching(name)
    path = Path(existing(name, 'image or folder'))
    return _inside(path) if path.is_dir() else [path]


def _inside(folder: Path) -> list[Path]:
    found = _with_suffix(folder, IMAGE_SUFFIXES)
    if not found:
        raise UserError(f'folder {folder} has no images ({", ".join(IMAGE_SUFFIXES)}){_what_is_in(folder)}')
    return found


def _matching(pattern: str) -> list[Path]:
    found = sorted(path for path in map(Path, glob(pattern, recursive=True)) if path.is_file())
    kept = [path for path in found if path.suffix.lower() in IMAGE_SUFFIXES + VIDEO_SUFFIXES]
    if not kept:
        others = f'; its {len(found)} files are none of {", ".join(IMAGE_SUFFIXES)}' if found else ''
        raise UserError(f'no image matches {pattern} (looked from {Path.cwd()}){others}')
    return kept


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in '*?[')


def _with_suffix(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes)


def _what_is_in(folder: Path) -> str:
    """Of a folder without images: its videos, or its folders that have images."""
    if videos := _with_suffix(folder, VIDEO_SUFFIXES):
        return f', but videos: name them, as {folder / "*"}{videos[0].suffix}'
    below = [path for path in sorted(folder.iterdir()) if path.is_dir() and _with_suffix(path, IMAGE_SUFFIXES)]
    return f'; there are some in {", ".join(map(str, below[:5]))}' if below else ''

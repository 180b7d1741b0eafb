"""Image files that a user names, or folders of them."""

from pathlib import Path

from swin_mmdet.config.files import existing
from swin_mmdet.errors import UserError

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v', '.wmv', '.mpg', '.mpeg')


def image_paths(names: list[str]) -> list[Path]:
    """Files as given, folders as the images directly in them, sorted.

    Raises:
        UserError: nothing is there, a folder without images, or a video.
    """
    paths = []
    for name in names:
        path = Path(existing(name, 'image or folder'))
        if path.is_dir():
            inside = _with_suffix(path, IMAGE_SUFFIXES)
            if not inside:
                raise UserError(f'folder {path} has no images ({", ".join(IMAGE_SUFFIXES)}){_what_is_in(path)}')
            paths += inside
        elif path.suffix.lower() in VIDEO_SUFFIXES:
            raise UserError(
                f'{path} is a video, and images are wanted: write its frames into a folder '
                f'(`ffmpeg -i {path} frames/%06d.jpg`) and give that'
            )
        else:
            paths.append(path)
    return paths


def _with_suffix(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes)


def _what_is_in(folder: Path) -> str:
    """Of a folder without images: its folders that have some, or its videos."""
    if _with_suffix(folder, VIDEO_SUFFIXES):
        return ', but videos: write their frames into a folder and give that'
    below = [path for path in sorted(folder.iterdir()) if path.is_dir() and _with_suffix(path, IMAGE_SUFFIXES)]
    return f'; there are some in {", ".join(map(str, below[:5]))}' if below else ''

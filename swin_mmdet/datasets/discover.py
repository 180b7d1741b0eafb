"""Find annotation files and image folders in the common COCO layouts."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import print_log

from swin_mmdet.datasets.coco_file import CocoFile, CocoFileError, read_coco
from swin_mmdet.datasets.inside_folder import is_inside
from swin_mmdet.datasets.problems import some

SPLIT_NAMES = {'train': ('train',), 'val': ('val', 'valid', 'validation')}
ANNOTATIONS = (
    'annotations/instances_{name}2017.json',
    'annotations/instances_{name}.json',
    'annotations/{name}2017.json',
    'annotations/{name}.json',
    '{name}/_annotations.coco.json',
    '{name}/annotations.json',
    'instances_{name}2017.json',
    'instances_{name}.json',
    '{name}.json',
)
MAX_FOLDERS = 100  # that are looked into for a data set
IMAGES = ('{name}2017', '{name}', 'images/{name}2017', 'images/{name}', '{name}/images', 'images', '.')


@dataclass(frozen=True)
class CocoFolder:
    """A data set found on disk.

    Attributes:
        train_ann, val_ann: annotation files.
        train_images, val_images: folders of their images.
        classes: in the order of the training file, which is the order of mmdet's labels.
    """

    train_ann: Path
    train_images: Path
    val_ann: Path
    val_images: Path
    classes: tuple[str, ...]


def discover(
    folder: str | Path,
    *,
    train_ann: str | Path | None = None,
    train_images: str | Path | None = None,
    val_ann: str | Path | None = None,
    val_images: str | Path | None = None,
) -> CocoFolder:
    """Find the training and validation data in a folder.

    Any of the four paths may be given instead, absolute or relative to the folder.

    Raises:
        FileNotFoundError: the folder, an annotation file or the images are not found; says where they were sought.
        CocoFileError: an annotation file cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f'no such folder: {folder}')
    try:
        train_ann, train_images, train = _split(folder, 'train', train_ann, train_images)
    except FileNotFoundError as error:
        meant = data_sets_near(folder)
        if not meant:
            raise
        there = ' or '.join(str(path) for path in meant)
        raise FileNotFoundError(f'no data set in {folder}, but in {there}: name that folder') from error
    val_ann, val_images, _ = _split(folder, 'val', val_ann, val_images)
    return CocoFolder(train_ann, train_images, val_ann, val_images, _classes(train))


def data_sets_near(folder: Path) -> list[Path]:
    """Folders that hold a data set, of the two above a folder and those in it; at most three."""
    above = list(folder.absolute().parents[:2])
    below = sorted(path for path in folder.iterdir() if path.is_dir())[:MAX_FOLDERS]
    found = []
    for path in (*above, *below):
        try:
            _split(path, 'train', None, None)
        except (FileNotFoundError, PermissionError, CocoFileError):
            continue
        found.append(path)
    return found[:3]


def images_beside(ann_file: Path, coco: CocoFile) -> Path:
    """The folder with the images of one annotation file, which lies in the data set or in its `annotations`.

    Raises:
        FileNotFoundError: none of the common ones has any; says where they were sought.
    """
    names = [name for split in SPLIT_NAMES.values() for name in split if name in ann_file.stem] or ['test']
    roots = ann_file.parent, ann_file.parent.parent
    return _first_with_images([root / pattern.format(name=name) for root in roots for name in names
                               for pattern in IMAGES], ann_file, coco)  # fmt: skip


def _split(folder: Path, split: str, ann: str | Path | None, images: str | Path | None) -> tuple[Path, Path, CocoFile]:
    ann_file = find_annotations(folder, split) if ann is None else folder / ann
    if not ann_file.is_file():
        raise FileNotFoundError(f'{split}_ann: no such file: {ann_file}')
    coco = read_coco(ann_file)
    if images is None:
        return ann_file, find_images(folder, split, ann_file, coco), coco
    if not (folder / images).is_dir():
        raise FileNotFoundError(f'{split}_images: no such folder: {folder / images}')
    return ann_file, folder / images, coco


def find_annotations(folder: Path, split: str) -> Path:
    """The annotation file of a split.

    Raises:
        FileNotFoundError: none has one of the common names.
    """
    sought = [pattern.format(name=name) for pattern in ANNOTATIONS for name in SPLIT_NAMES[split]]
    found = [folder / name for name in sought if (folder / name).is_file()]
    if found:
        if len(found) > 1:
            others = ', '.join(str(path.relative_to(folder)) for path in found[1:])
            print_log(f'{split}: taking {found[0].relative_to(folder)}; there is also {others}', logger='current')
        return found[0]
    present = sorted(str(path.relative_to(folder)) for path in [*folder.glob('*.json'), *folder.glob('*/*.json')])
    message = f'no {split} annotations in {folder}. Looked for:\n  ' + '\n  '.join(sought)
    message += f'\nJSON files there: {", ".join(present[:10]) or "none"}'
    if split == 'val' and present:
        message += (
            '\nTo measure the AP, some images must be kept from training. Either name their file (val_ann), or move 10 '
            "to 20 % of the entries of the training file's 'images', with their 'annotations' and a copy of all "
            "'categories', into annotations/instances_val2017.json; the image files may stay where they are"
        )
    raise FileNotFoundError(message)


def find_images(folder: Path, split: str, ann_file: Path, coco: CocoFile) -> Path:
    """The first folder that has one of the images the file lists."""
    candidates = [folder / pattern.format(name=name) for name in SPLIT_NAMES[split] for pattern in IMAGES]
    if split == 'val':  # a file split in two leaves its images where they were
        candidates += [folder / pattern.format(name='train') for pattern in IMAGES]
    return _first_with_images([ann_file.parent, *candidates], ann_file, coco)


def _first_with_images(candidates: list[Path], ann_file: Path, coco: CocoFile) -> Path:
    """The first of the folders that has one of the images the file lists."""
    candidates = list(dict.fromkeys(candidates))
    names = [name for name in coco.file_names[:3] if name]
    # names that lead elsewhere are not looked up; those of another computer may have the files here
    last = [name.replace('\\', '/').rstrip('/').rpartition('/')[2] for name in names]
    for sought in (names, last):
        for candidate in candidates:
            if any(name and is_inside(candidate, name) and (candidate / name).is_file() for name in sought):
                return candidate
    if not names:
        raise FileNotFoundError(f'{ann_file} lists no images')
    places = '\n  '.join(str(candidate) for candidate in candidates)
    listed = some(names) or 'none listed'
    message = f'the images of {ann_file} (such as {listed}) are in none of:\n  {places}'
    around = {folder for path in candidates if path.is_dir() for folder in path.iterdir() if folder.is_dir()}
    for other in sorted(around):
        if all(is_inside(other, name) and (other / name).is_file() for name in names):
            raise FileNotFoundError(f'{message}\nThey are in {other}: are these the annotations of another split?')
    raise FileNotFoundError(message)


def _classes(coco: CocoFile) -> tuple[str, ...]:
    return tuple(dict.fromkeys(coco.classes_for()))

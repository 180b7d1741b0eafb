"""What images of a folder need to be read as a person sees them: told from some of them."""

from collections.abc import Sequence
from pathlib import Path

from swin_mmdet.datasets.coco_file import read_coco
from swin_mmdet.datasets.inside_folder import is_inside
from swin_mmdet.datasets.transforms.load_image import what_is_needed

LOOKED_AT = 32  # images of each split
DEPTHS = 8, 10, 12, 14, 16  # bits of cameras
WHITE = 255, 255, 255
JPEG_SUFFIXES = '.jpg', '.jpeg', '.jpe', '.jfif'


def image_needs(folders: Sequence[Path], ann_files: Sequence[Path]) -> dict:
    """Arguments of `swin_mmdet.LoadImageFromFile`, empty where mmcv's step does.

    Images spread over each annotation file are looked at; JPEGs have no more than 8 bits and nothing transparent.
    """
    depths, is_transparent = [], False
    for folder, ann_file in zip(folders, ann_files, strict=True):
        names = [name for name in read_coco(ann_file).file_names if not name.lower().endswith(JPEG_SUFFIXES)]
        for name in names[:: max(len(names) // LOOKED_AT, 1)]:
            if not is_inside(folder, name) or not (folder / name).is_file():
                continue  # for the checks to say
            used, seen_through = what_is_needed((folder / name).read_bytes())
            depths += [used] if used is not None else []
            is_transparent = is_transparent or seen_through
    bits = next(depth for depth in DEPTHS if depth >= max(depths)) if depths else 16
    # of 16 bits in use mmcv's step keeps the highest
    return {'bits': bits} if bits < 16 else {'background': WHITE} if is_transparent else {}

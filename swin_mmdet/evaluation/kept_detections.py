"""The detections of the last evaluation, kept in the folder of a run, for whoever looks at its errors later."""

import json
import shutil
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path

from swin_mmdet.errors import UserError

FOLDER = 'detections'
ABOUT = 'about.json'
IOU_TYPES = ('bbox', 'segm')


@dataclass(frozen=True)
class KeptDetections:
    """What one evaluation measured, and on what.

    ann_file: the annotations.
    classes, cat_ids: names and category ids, in the order of the labels.
    max_dets, iou_thrs: as in `evaluate_coco`.
    weights: which they were, such as 'iteration 500' or a file.
    time: when, as text.
    values: the metrics that were logged.
    files: 'bbox' and 'segm' -> a result file in COCO's format.
    """

    ann_file: str
    classes: tuple[str, ...]
    cat_ids: tuple[Hashable, ...]
    max_dets: tuple[int, ...]
    iou_thrs: tuple[float, ...]
    weights: str
    time: str
    values: dict[str, float]
    files: dict[str, Path]

    def load(self, iou_type: str) -> list[dict]:
        """The detections; raises UserError where the file cannot be read."""
        path = self.files[iou_type]
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f'{path} cannot be read ({error}); evaluate again with test.py') from error
        needed = {'image_id', 'category_id', 'score', 'segmentation' if iou_type == 'segm' else 'bbox'}
        if not isinstance(found, list) or not all(isinstance(one, dict) and needed <= one.keys() for one in found):
            raise UserError(f'{path} is no list of detections with {sorted(needed)}; evaluate again with test.py')
        return found


def keep_detections(work_dir: str | Path, files: Mapping[str, str], about: dict) -> None:
    """Copy result files into a work-dir, in the place of those that an earlier evaluation has left.

    Args:
        files: 'bbox' and 'segm' -> a result file.
        about: the other fields of `KeptDetections`, but for the time.

    Raises:
        OSError: they could not be written; then nothing is left of them.
    """
    folder = Path(work_dir, FOLDER)
    part = folder.with_name(f'{FOLDER}.part')
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        for name in IOU_TYPES:
            if name in files:
                shutil.copyfile(files[name], part / f'{name}.json')
        (part / ABOUT).write_text(json.dumps(about | {'time': time.strftime('%Y-%m-%d %H:%M:%S')}))
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def forget_detections(work_dir: str | Path) -> None:
    """Remove those of a run before, which a report would take for those of a new one."""
    shutil.rmtree(Path(work_dir, FOLDER), ignore_errors=True)


def move_detections(source: str | Path, target: str | Path) -> bool:
    """Those of one work-dir into another, in the place of what is there; False where there are none."""
    found, folder = Path(source, FOLDER), Path(target, FOLDER)
    if not (found / ABOUT).is_file():
        return False
    forget_detections(target)
    found.rename(folder)
    return True


def kept_detections(work_dir: str | Path) -> KeptDetections | None:
    """Those of the last evaluation of a work-dir, None where there are none.

    Raises:
        UserError: what is there cannot be read.
    """
    folder = Path(work_dir, FOLDER)
    if not (folder / ABOUT).is_file():
        return None
    try:
        about = json.loads((folder / ABOUT).read_text())
        return KeptDetections(
            ann_file=about['ann_file'],
            classes=tuple(about['classes']),
            cat_ids=tuple(about['cat_ids']),
            max_dets=tuple(about['max_dets']),
            iou_thrs=tuple(about['iou_thrs']),
            weights=about['weights'],
            time=about['time'],
            values=about['values'],
            files={name: folder / f'{name}.json' for name in IOU_TYPES if (folder / f'{name}.json').is_file()},
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f'{folder / ABOUT} cannot be read ({error}); evaluate again with test.py') from error

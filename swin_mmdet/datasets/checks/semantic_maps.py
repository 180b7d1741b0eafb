"""Are the semantic maps there that a model with a semantic branch trains on?"""

from pathlib import PurePath

from swin_mmdet.datasets.checks.images import missing_files
from swin_mmdet.datasets.coco_file import CocoFile
from swin_mmdet.datasets.problems import Problem, some
from swin_mmdet.datasets.sources import CocoSource

WITHOUT = 'or train without the branch: model.roi_head.semantic_head=None model.roi_head.semantic_roi_extractor=None'


def semantic_problems(source: CocoSource, coco: CocoFile, *, wanted: bool) -> list[Problem]:
    """Of the training data: no maps where the model wants some, or maps that are named and not in their folder."""
    key, folder = source.key, source.map_folder
    if not source.with_map or folder is None:
        if not wanted:
            return []
        what = 'the model has a semantic_head, and ' + (
            "data_prefix has no 'seg': there are no semantic maps"
            if source.with_map
            else 'the pipeline loads no semantic maps (with_seg=True)'
        )
        return [Problem(key, what, f"set data_prefix=dict(img=..., seg='FOLDER/'), with_seg=True, {WITHOUT}")]
    if not folder.is_dir():
        return [Problem(key, f'no such folder of semantic maps: {folder}', f"set data_prefix['seg'], {WITHOUT}")]
    # as mmdet names them
    names = [str(PurePath(name).with_suffix('')) + source.map_suffix for name in coco.file_names]
    missing = missing_files(folder, names)
    if not missing:
        return []
    what = f'{len(missing)} of {len(names)} semantic maps are not in {folder}: {some(missing, 3)}'
    return [Problem(key, what, f"set data_prefix['seg'] and seg_map_suffix so that each image has a map, {WITHOUT}")]

"""Check the data of a config before any long work, and report everything that is wrong at once."""

import logging
from dataclasses import replace
from pathlib import Path

from mmengine.logging import print_log

from swin_mmdet.datasets.checks.annotations import annotation_problems, file_problems, filter_problems, mask_problems
from swin_mmdet.datasets.checks.classes import agreement_problems, class_problems, head_problems, intended_classes
from swin_mmdet.datasets.checks.evaluators import evaluator_problems, evaluators, writes_only
from swin_mmdet.datasets.checks.images import EVERYTHING, image_problems
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.checks.semantic_maps import semantic_problems
from swin_mmdet.datasets.checks.splits import Part, split_problems
from swin_mmdet.datasets.coco_file import CocoFile, CocoFileError, read_coco
from swin_mmdet.datasets.discover import CocoFolder, images_beside
from swin_mmdet.datasets.heads import roi_head_has
from swin_mmdet.datasets.image_needs import image_needs
from swin_mmdet.datasets.problems import ERROR, WARNING, DatasetCheckError, Problem, listing
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.datasets.sources import CocoSource, coco_sources


def check_config(cfg, options: CheckOptions = EVERYTHING) -> None:
    """Check the COCO data of an `mmengine.Config` against its files, its model and its evaluators.

    Logs one line per annotation file and every warning.

    Raises:
        DatasetCheckError: something would stop the run or silently spoil it; lists all such problems and remedies.
    """
    problems, files = find_problems(cfg, thorough=False, options=options)
    for coco in files:
        print_log(
            f'{coco.path}: {len(coco.file_names)} images, {coco.num_annotations} annotations, '
            f'{len(coco.categories)} classes',
            logger='current',
        )
    warnings = [problem for problem in problems if problem.level != ERROR]
    if warnings:
        print_log('Worth a look:\n' + listing(warnings), logger='current', level=logging.WARNING)
    errors = [problem for problem in problems if problem.level == ERROR]
    if errors:
        raise DatasetCheckError(errors)


def find_problems(
    cfg, thorough: bool = True, options: CheckOptions = EVERYTHING
) -> tuple[list[Problem], list[CocoFile]]:
    """Errors and warnings about the data of a config, and its annotation files as far as they can be read.

    Images are opened last. Unless `thorough`, they are not where something else is an error already: it has to be put
    right anyway, and opening many takes a while.
    """
    problems: list[Problem] = []
    files: dict[Path, CocoFile] = {}
    classes: dict[str, tuple[str, ...]] = {}
    images: dict[tuple, list[Problem]] = {}
    closed: list[tuple[CocoSource, CocoFile]] = []
    parts: list[Part] = []
    model = cfg.get('model') or {}
    for source in coco_sources(cfg):
        try:
            coco = read_coco(source.ann_file)
        except CocoFileError as error:
            remedy = 'set ann_file (joined to data_root) to a COCO JSON file, or take another folder: --data FOLDER'
            problems.append(Problem(source.key, str(error), remedy))
            continue
        files[coco.path] = coco
        problems += _source_problems(cfg, source, coco)
        if source.image_folder is not None:
            found = _image_problems(source, coco, images, options, opened=False)
            problems += found
            parts.append(Part(source.split, source.key, coco, source.image_folder))
            if not found:
                closed.append((source, coco))
        classes[source.key] = intended_classes(source, coco)
    problems += agreement_problems(classes)
    if classes:
        problems += head_problems(model, next(iter(classes.values())))
    if thorough or not any(problem.level == ERROR for problem in problems):
        for source, coco in closed:
            problems += _image_problems(source, coco, images, options, opened=True)
        problems += split_problems(parts, options)
    return _merged(problems), list(files.values())


def check_folder(
    folder: CocoFolder, options: CheckOptions = EVERYTHING
) -> tuple[list[Problem], list[CocoFile]]:
    """Problems of a folder of data by itself, without a config."""
    problems, files, classes, parts = [], [], {}, []
    reader = folder_reader(folder)
    for name, ann_file, images in (('train', folder.train_ann, folder.train_images),
                                   ('val', folder.val_ann, folder.val_images)):
        coco = read_coco(ann_file)
        files.append(coco)
        classes[name] = tuple(sorted(coco.classes_for()))  # numbered by name, whatever their order
        problems += file_problems(coco, name) + annotation_problems(coco, name) + _masks_by_themselves(coco, name)
        problems += image_problems(coco, images, name, 'the image folder', reader, options=options)
        parts.append(Part(name, name, coco, images))
    return _merged(problems + agreement_problems(classes) + split_problems(parts, options)), files


def folder_reader(folder: CocoFolder) -> ImageReader:
    """Reads images as a training with `--data FOLDER` will."""
    needs = image_needs([folder.train_images, folder.val_images], [folder.train_ann, folder.val_ann])
    return ImageReader([dict(type='swin_mmdet.LoadImageFromFile', **needs)] if needs else ())


def check_file(coco: CocoFile, images: Path | None = None, options: CheckOptions = EVERYTHING) -> list[Problem]:
    """Problems of one annotation file and its images, which are sought beside it unless their folder is given."""
    where = coco.path.name
    problems = file_problems(coco, where) + annotation_problems(coco, where) + _masks_by_themselves(coco, where)
    if coco.file_names:
        try:
            folder = images or images_beside(coco.path, coco)
        except FileNotFoundError as error:
            return [*problems, Problem(where, str(error), 'name the folder of the images: --images FOLDER')]
        problems += image_problems(coco, folder, where, '--images', options=options)
    return _merged(problems)


def _masks_by_themselves(coco: CocoFile, where: str) -> list[Problem]:
    """Of masks that may be wanted: boxes alone are fine, and so are none at all."""
    missing = coco.faults.get('mask_missing')
    found = mask_problems(coco, where, 'others have one')
    if not missing:
        return found
    first, *others = found
    return others if missing.count == coco.num_annotations else [replace(first, level=WARNING), *others]


def _image_problems(
    source: CocoSource, coco: CocoFile, known: dict[tuple, list[Problem]], options: CheckOptions, *, opened: bool
) -> list[Problem]:
    """Of a source's images, through its pipeline's reader; `known` has those of other sources, and gets these."""
    try:
        reader = ImageReader(source.pipeline)
    except Exception as error:  # of whatever class stands there
        what = f'the step of its pipeline that loads images cannot be built: {error}'
        return [Problem(source.key, what, 'correct its arguments')]
    assert source.image_folder is not None
    may_ignore = source.split == 'train'
    # val and test mostly share theirs, and every image file is opened
    same = coco.path, source.image_folder, repr(reader.step), may_ignore and reader.ignores, source.with_mask, opened
    if same not in known:
        known[same] = image_problems(
            coco, source.image_folder, source.key, "data_prefix['img']", reader,
            may_ignore=may_ignore, with_masks=source.with_mask, opened=opened, options=options,
        )
    return [replace(problem, where=source.key) for problem in known[same]]


def _source_problems(cfg, source: CocoSource, coco: CocoFile) -> list[Problem]:
    key = source.key
    found = file_problems(coco, key) + class_problems(source, coco)
    if source.image_folder is None:
        found.append(Problem(key, "it has no data_prefix['img']", "set data_prefix=dict(img='FOLDER/')"))
    if source.split == 'train' or not writes_only(cfg, source.split):
        found += annotation_problems(coco, key)
    reasons = ['the pipeline loads them (with_mask=True)'] if source.with_mask else []
    if source.split == 'train':
        found += filter_problems(coco, key, intended_classes(source, coco), source.filter_cfg)
        found += semantic_problems(source, coco, wanted=roi_head_has(cfg.get('model') or {}, 'semantic_head'))
        if roi_head_has(cfg.get('model') or {}, 'mask_head'):
            reasons.append('the model has a mask_head')
            if not source.with_mask:
                found.append(Problem(key, 'the model has a mask_head, but the pipeline loads no masks',
                                     "use dict(type='LoadAnnotations', with_bbox=True, with_mask=True)"))
    measured = source.split != 'train' and any('segm' in one.metrics for one in evaluators(cfg, source.split))
    if measured:
        reasons.append(f"{source.split}_evaluator measures 'segm'")
    if reasons and coco.num_annotations:
        found += mask_problems(coco, key, ' and '.join(reasons), measured=measured)
    if source.polygons_only and coco.num_rle_objects:
        what = (f'{coco.num_rle_objects} of {coco.num_annotations} objects of {coco.path} have masks in run lengths, '
                'which the pipeline leaves out with their objects (poly2mask=False)')
        found.append(Problem(key, what, 'load masks with poly2mask=True', WARNING))
    return found + evaluator_problems(cfg, source, coco)


def _merged(problems: list[Problem]) -> list[Problem]:
    """Problems that val and test share, said once; errors first."""
    merged: dict[tuple[str, str], Problem] = {}
    for problem in problems:
        same = (problem.what, problem.remedy)
        if same in merged and problem.where not in merged[same].where.split(' and '):
            problem = replace(problem, where=f'{merged[same].where} and {problem.where}')
        merged[same] = problem
    return sorted(merged.values(), key=lambda problem: problem.level != ERROR)

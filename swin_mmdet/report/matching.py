"""Which detection found which object, as COCO's evaluation decides it, and the overlaps that tell why others failed."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as mask_utils

from swin_mmdet.evaluation.prepare import numbered, prepare_detections, prepare_ground_truth
from swin_mmdet.progress import with_progress

# COCO's, so that an IoU of exactly the threshold is enough
ALMOST_ONE = 1 - 1e-10


@dataclass(frozen=True)
class Matching:
    """Objects and detections of all images, at one IoU threshold.

    Objects are no crowds. Images and classes are positions in `img_ids` and `cat_ids`. Detections are in the order of
    their images, the best of an image first; of each class at most as many in an image as COCO counts. Indices are -1
    where there is none.

    object_image, object_class: [G].
    object_row: [G], the place of each in the annotations that were given.
    found_by: [G], index of the detection of its class that found it.
    image, label, score: [N].
    row: [N], the place of each in the detections that were given.
    found: [N], index of the object that a detection has found.
    ignored: [N], whether it lies in a crowd of its class, where it counts neither way.
    own_object, own_iou: [N], the object of its class that it overlaps most, and how much (0 without one).
    other_object, other_iou: [N], the same of objects of other classes.
    pair_detection, pair_object, pair_iou: [P], every two that overlap by the threshold or more, of any classes.
    """

    img_ids: tuple[Hashable, ...]
    cat_ids: tuple[Hashable, ...]
    iou_threshold: float
    object_image: np.ndarray
    object_class: np.ndarray
    object_row: np.ndarray
    found_by: np.ndarray
    image: np.ndarray
    label: np.ndarray
    score: np.ndarray
    row: np.ndarray
    found: np.ndarray
    ignored: np.ndarray
    own_object: np.ndarray
    own_iou: np.ndarray
    other_object: np.ndarray
    other_iou: np.ndarray
    pair_detection: np.ndarray
    pair_object: np.ndarray
    pair_iou: np.ndarray

    @property
    def num_objects(self) -> np.ndarray:
        """[K]: objects of each class."""
        return np.bincount(self.object_class, minlength=len(self.cat_ids))


def match(
    ground_truth: dict,
    detections: Sequence[dict],
    iou_type: str,
    cat_ids: Sequence[Hashable],
    max_dets: int = 100,
    iou_threshold: float = 0.5,
) -> Matching:
    """Match detections in COCO's result format to a COCO annotation dict, of its images and these categories.

    Args:
        iou_type: 'bbox' or 'segm'.
        max_dets: detections of a class in an image that count, the best.

    Raises:
        ValueError: as `evaluate_coco`.
    """
    cat_ids = list(dict.fromkeys(cat_ids))
    images = list(numbered(image['id'] for image in ground_truth['images']))
    # places of what is left in what was given
    kinds, known = set(cat_ids), set(images)
    rows = [index for index, ann in enumerate(ground_truth.get('annotations', ()))
            if ann['image_id'] in known and ann['category_id'] in kinds]  # fmt: skip
    det_rows = [index for index, det in enumerate(detections) if det['category_id'] in kinds]
    gt = prepare_ground_truth(ground_truth, images, cat_ids, iou_type)['annotations']
    dt = prepare_detections(ground_truth, detections, images, cat_ids, iou_type)['annotations']
    place = {number: cat_ids.index(id) for id, number in numbered(cat_ids).items()}
    sizes = {image['id']: (image.get('height'), image.get('width')) for image in ground_truth['images']}
    truths, found = defaultdict(list), defaultdict(list)
    for row, ann in zip(rows, gt, strict=True):
        truths[ann['image_id'] - 1].append((row, ann))
    for row, ann in zip(det_rows, dt, strict=True):
        found[ann['image_id'] - 1].append((row, ann))
    parts, objects, detected = [], 0, 0
    for index in with_progress(range(len(images)), len(images), f'matching {iou_type}'):
        if index not in truths and index not in found:
            continue
        part = _match_image(truths[index], found[index], iou_type, sizes[images[index]], place, max_dets, iou_threshold)
        for name in ('found', 'own_object', 'other_object', 'pair_object'):
            part[name][part[name] >= 0] += objects
        part['pair_detection'] += detected
        part['object_image'] = np.full(len(part['object_row']), index)
        part['image'] = np.full(len(part['row']), index)
        objects += len(part['object_row'])
        detected += len(part['row'])
        parts.append(part)
    arrays = {name: np.concatenate([part[name] for part in parts] or [np.zeros(0, kind)])
              for name, kind in COLUMNS.items()}  # fmt: skip
    found_by = np.full(objects, -1)
    hits = np.flatnonzero(arrays['found'] >= 0)
    found_by[arrays['found'][hits]] = hits
    return Matching(tuple(images), tuple(cat_ids), iou_threshold, found_by=found_by, **arrays)


# of one image's objects and detections
COLUMNS = {
    **dict.fromkeys(('object_image', 'object_class', 'object_row', 'image', 'label', 'row'), int),
    **dict.fromkeys(('found', 'own_object', 'other_object', 'pair_detection', 'pair_object'), int),
    **dict.fromkeys(('score', 'own_iou', 'other_iou', 'pair_iou'), float),
    'ignored': bool,
}


def _match_image(
    truths: list[tuple[int, dict]],
    found: list[tuple[int, dict]],
    iou_type: str,
    size: tuple,
    place: dict[int, int],
    max_dets: int,
    threshold: float,
) -> dict[str, np.ndarray]:
    objects = [(row, ann) for row, ann in truths if not ann['iscrowd']]
    crowds = [ann for _, ann in truths if ann['iscrowd']]
    scores = np.array([ann['score'] for _, ann in found])
    order = np.argsort(-scores, kind='stable')
    counts, kept = defaultdict(int), []
    for index in order:
        kind = found[index][1]['category_id']
        counts[kind] += 1
        if counts[kind] <= max_dets:
            kept.append(index)
    detected = [found[index][1] for index in kept]
    key = 'segmentation' if iou_type == 'segm' else 'bbox'
    shapes = [ann[key] for ann in detected]
    # [N, G] and [N, C]
    ious = overlaps(shapes, [_shape(ann[key], size) for _, ann in objects], crowd=False)
    in_crowd = overlaps(shapes, [_shape(ann[key], size) for ann in crowds], crowd=True)
    labels = np.array([place[ann['category_id']] for ann in detected], int)
    classes = np.array([place[ann['category_id']] for _, ann in objects], int)
    crowd_classes = np.array([place[ann['category_id']] for ann in crowds], int)
    same = labels[:, None] == classes
    own, other = np.where(same, ious, 0.0), np.where(same, 0.0, ious)
    matched = np.full(len(detected), -1)
    free = own.copy()
    least = min(threshold, ALMOST_ONE)
    for index in np.flatnonzero((own >= least).any(axis=1)) if len(objects) else ():
        # of equal ones the last, as pycocotools takes it
        best = len(objects) - 1 - int(free[index, ::-1].argmax())
        if free[index, best] >= least:
            matched[index] = best
            free[:, best] = -1
    ignored = (matched < 0) & ((in_crowd >= least) & (labels[:, None] == crowd_classes)).any(axis=1)
    pairs = np.nonzero(ious >= least)
    own_object, own_iou = _most(own)
    other_object, other_iou = _most(other)
    return dict(
        object_class=classes,
        object_row=np.array([row for row, _ in objects], int),
        label=labels,
        score=scores[kept],
        row=np.array([found[index][0] for index in kept], int),
        found=matched,
        ignored=ignored,
        own_object=own_object,
        own_iou=own_iou,
        other_object=other_object,
        other_iou=other_iou,
        pair_detection=pairs[0],
        pair_object=pairs[1],
        pair_iou=ious[pairs],
    )


def _most(ious: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N, G] -> the column of the largest in each row, -1 where all are 0, and its value: [N], [N]."""
    if not ious.shape[1]:
        return np.full(len(ious), -1), np.zeros(len(ious))
    best = ious.argmax(axis=1)
    values = ious[np.arange(len(ious)), best]
    return np.where(values > 0, best, -1), values


def overlaps(detected: list, shapes: list, *, crowd: bool) -> np.ndarray:
    """IoU [N, G] of detections with objects, or with crowds: then the share of the detection inside."""
    if not detected or not shapes:
        return np.zeros((len(detected), len(shapes)))
    return np.asarray(mask_utils.iou(detected, shapes, [int(crowd)] * len(shapes)), float)


def _shape(shape: list | dict, size: tuple) -> list | dict:
    """A box as it is; a mask as compressed run lengths."""
    polygons = isinstance(shape, list) and bool(shape) and isinstance(shape[0], list)
    if not polygons and not (isinstance(shape, dict) and isinstance(shape['counts'], list)):
        return shape
    runs = mask_utils.frPyObjects(shape, int(float(size[0])), int(float(size[1])))
    return mask_utils.merge(runs) if polygons else runs

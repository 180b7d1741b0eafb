"""COCO evaluation of plain dicts: no files, no printing, the inputs stay as they are."""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from swin_mmdet.evaluation.backends import EvalSettings, resolve_backend
from swin_mmdet.evaluation.prepare import numbered, prepare_detections, prepare_ground_truth
from swin_mmdet.evaluation.scores import CocoScores

COCO_IOU_THRS = np.linspace(0.5, 0.95, 10)


def evaluate_coco(
    ground_truth: dict,
    detections: Sequence[dict],
    iou_type: str = 'bbox',
    *,
    cat_ids: Sequence[Hashable] | None = None,
    img_ids: Sequence | None = None,
    max_dets: Sequence[int] = (1, 10, 100),
    iou_thrs: float | Sequence[float] | None = None,
    use_cats: bool = True,
    backend: str = 'auto',
) -> CocoScores:
    """Evaluate detections in COCO's result format against a COCO annotation dict.

    Args:
        ground_truth: what an annotation file holds. Annotations are counted one by one whatever their ids; where 'area'
            is missing it is the mask's, or the box's without a mask. Ids may be numbers or text, sizes and areas 64.0
            or '64'.
        detections: dicts with 'image_id', 'category_id', 'score' and 'bbox' ([x, y, w, h]) or, for 'segm',
            'segmentation' (RLE). None at all give an AP of 0.
        iou_type: 'bbox' or 'segm'.
        cat_ids, img_ids: evaluate only these; None is all of the ground truth.
        use_cats: False ignores the categories (class-agnostic proposals).
        backend: 'auto', 'faster_coco_eval' or 'pycocotools'; all give the same numbers.

    Raises:
        ValueError: no images or categories to evaluate, detections on unknown images, annotations without the box or
            mask that `iou_type` compares, or an unknown `iou_type` or `backend`.
    """
    if iou_type not in ('bbox', 'segm'):
        raise ValueError(f"iou_type is 'bbox' or 'segm', got '{iou_type}'")
    program = resolve_backend(backend)
    img_ids = [image['id'] for image in ground_truth['images']] if img_ids is None else img_ids
    cat_ids = [category['id'] for category in ground_truth['categories']] if cat_ids is None else cat_ids
    if len(img_ids) == 0:
        raise ValueError('the ground truth has no images: nothing can be evaluated')
    if len(cat_ids) == 0:
        raise ValueError('no categories to evaluate: the ground truth has none, or none with the names asked for')

    cat_ids = list(numbered(cat_ids))  # in the order in which evaluators return them
    gt = prepare_ground_truth(ground_truth, img_ids, cat_ids, iou_type)
    dt = prepare_detections(ground_truth, detections, img_ids, cat_ids, iou_type)
    settings = EvalSettings(
        iou_type=iou_type,
        img_ids=[image['id'] for image in gt['images']],
        cat_ids=[category['id'] for category in gt['categories']],
        max_dets=sorted(max_dets),
        iou_thrs=np.atleast_1d(COCO_IOU_THRS if iou_thrs is None else np.asarray(iou_thrs, dtype=float)),
        use_cats=use_cats,
    )
    precision, recall = program.run(gt, dt, settings)
    return CocoScores(
        iou_type=iou_type,
        precision=precision,
        recall=recall,
        iou_thrs=settings.iou_thrs,
        max_dets=tuple(settings.max_dets),
        cat_ids=tuple(cat_ids) if use_cats else (),
        num_instances=Counter(cat_ids[ann['category_id'] - 1] for ann in gt['annotations'] if not ann['iscrowd']),
    )

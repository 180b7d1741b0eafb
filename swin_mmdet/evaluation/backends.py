"""The two programs that match detections to ground truth and return the same precision and recall arrays."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mmengine.logging import print_log


@dataclass(frozen=True)
class EvalSettings:
    """What to evaluate: 'bbox' or 'segm' of the given images and categories, counting `max_dets` detections an image.

    Ids and `max_dets` are sorted, `iou_thrs` has T thresholds; `use_cats` False ignores the labels (proposals).
    """

    iou_type: str
    img_ids: list[int]
    cat_ids: list[int]
    max_dets: list[int]
    iou_thrs: np.ndarray
    use_cats: bool


@dataclass(frozen=True)
class Backend:
    """`run(gt, dt, settings)` takes COCO dicts and returns precision [T, R, K, A, M] and recall [T, K, A, M].

    T IoU thresholds, R = 101 recall thresholds, K categories, A areas (all, small, medium, large), M `max_dets`;
    -1 where there is no ground truth. `why_not()` is the reason why this backend cannot run, or None.
    """

    name: str
    run: Callable[[dict, dict, EvalSettings], tuple[np.ndarray, np.ndarray]]
    why_not: Callable[[], str | None]


def faster_why_not() -> str | None:
    try:
        from faster_coco_eval import COCO, COCOeval_faster  # noqa: F401
    except ImportError as error:
        return f'cannot be imported ({error}); pip install faster-coco-eval'
    return None


def faster_run(gt: dict, dt: dict, settings: EvalSettings) -> tuple[np.ndarray, np.ndarray]:
    from faster_coco_eval import COCO, COCOeval_faster

    evaluator = COCOeval_faster(COCO(gt), COCO(dt), settings.iou_type, print_function=lambda *_: None)
    return _evaluate(evaluator, settings)


def pycocotools_run(gt: dict, dt: dict, settings: EvalSettings) -> tuple[np.ndarray, np.ndarray]:
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints progress, also for empty sets
        return _evaluate(COCOeval(_indexed(gt), _indexed(dt), settings.iou_type), settings)


def _indexed(dataset: dict):
    """A pycocotools COCO object of a dict; its constructor takes only a path."""
    from pycocotools.coco import COCO

    coco = COCO()
    coco.dataset = dataset
    coco.createIndex()
    return coco


def _evaluate(evaluator, settings: EvalSettings) -> tuple[np.ndarray, np.ndarray]:
    evaluator.params.imgIds = settings.img_ids
    evaluator.params.catIds = settings.cat_ids
    evaluator.params.maxDets = settings.max_dets
    evaluator.params.iouThrs = settings.iou_thrs
    evaluator.params.useCats = int(settings.use_cats)
    evaluator.evaluate()
    evaluator.accumulate()
    return np.asarray(evaluator.eval['precision']), np.asarray(evaluator.eval['recall'])


BACKENDS = (
    Backend('faster_coco_eval', faster_run, faster_why_not),
    Backend('pycocotools', pycocotools_run, lambda: None),
)


def resolve_backend(name: str = 'auto') -> Backend:
    """Find a backend by name; 'auto' takes the first that can run and logs why an earlier one cannot.

    Raises:
        ValueError: unknown name, or a backend asked for by name cannot run.
    """
    if name not in ('auto', *(backend.name for backend in BACKENDS)):
        names = "', '".join(backend.name for backend in BACKENDS)
        raise ValueError(f"unknown evaluation backend '{name}', known are 'auto', '{names}'")
    for backend in BACKENDS:
        if name not in ('auto', backend.name):
            continue
        reason = backend.why_not()
        if reason is None:
            return backend
        if name != 'auto':
            raise ValueError(f'{backend.name}: {reason}')
        print_log(f'COCO evaluation without {backend.name}: {reason}', logger='current')
    raise AssertionError('the last backend always runs')

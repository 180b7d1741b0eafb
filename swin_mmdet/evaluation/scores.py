"""Average precision and recall read from the accumulated arrays, as COCO defines them."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

AREAS = {'all': 0, 'small': 1, 'medium': 2, 'large': 3}
AP_NAMES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')


def metric_names(max_dets: list[int]) -> list[str]:
    """Names of the COCO numbers in COCO's order: six of AP, one AR for each number of detections, AR of three areas."""
    max_dets = sorted(max_dets)
    return [*AP_NAMES, *(f'AR@{count}' for count in max_dets), *(f'AR_{area}@{max_dets[-1]}' for area in 'sml')]


@dataclass(frozen=True)
class CocoScores:
    """Outcome of one evaluation.

    Attributes:
        iou_type: 'bbox' or 'segm'.
        precision: [T, R, K, A, M]: thresholds, recalls, categories, areas, numbers of detections.
        recall: [T, K, A, M].
        iou_thrs: [T].
        max_dets: M, ascending.
        cat_ids: K, in the order of the arrays; empty without categories.
        num_instances: of the ground truth that is no crowd, by category id.
    """

    iou_type: str
    precision: np.ndarray
    recall: np.ndarray
    iou_thrs: np.ndarray
    max_dets: tuple[int, ...]
    cat_ids: tuple[Hashable, ...]
    num_instances: dict[Hashable, int]

    def ap(self, iou: float | None = None, area: str = 'all', cat_id: Hashable | None = None,
           max_dets: int | None = None) -> float:
        """Average precision, over all thresholds and categories unless told; -1 where nothing can be measured."""
        return _mean(self._select(self.precision, iou, area, cat_id, max_dets))

    def ar(self, iou: float | None = None, area: str = 'all', cat_id: Hashable | None = None,
           max_dets: int | None = None) -> float:
        """Average recall, as `ap`."""
        return _mean(self._select(self.recall, iou, area, cat_id, max_dets))

    def _select(self, values: np.ndarray, iou: float | None, area: str, cat_id: Hashable | None,
                max_dets: int | None) -> np.ndarray:
        values = values[..., AREAS[area], self.max_dets.index(self.max_dets[-1] if max_dets is None else max_dets)]
        if cat_id is not None:
            values = values[..., self.cat_ids.index(cat_id)]
        return values if iou is None else values[np.isclose(self.iou_thrs, iou)]

    @property
    def named(self) -> dict[str, float]:
        """Every COCO number under mmdet's name ('mAP', 'mAP_50', ..., 'AR@100', 'AR_s@100'), full precision.

        'mAP' counts 100 detections an image whatever larger number the others count, as in pycocotools.
        """
        values = [self.ap(max_dets=100 if 100 in self.max_dets else None), self.ap(iou=0.5), self.ap(iou=0.75)]
        values += [self.ap(area=area) for area in ('small', 'medium', 'large')]
        values += [self.ar(max_dets=count) for count in self.max_dets]
        values += [self.ar(area=area) for area in ('small', 'medium', 'large')]
        return dict(zip(metric_names(list(self.max_dets)), values))

    @property
    def stats(self) -> np.ndarray:
        """The numbers of `named` in COCO's order: [12] for three `max_dets`."""
        return np.array(list(self.named.values()))


def _mean(values: np.ndarray) -> float:
    measured = values[values > -1]
    return float(measured.mean()) if measured.size else -1.0

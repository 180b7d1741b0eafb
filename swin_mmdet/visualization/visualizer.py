"""Drawn detections that can be read in pictures of any size, with many objects and at low scores."""

from collections.abc import Sequence

import numpy as np
from mmdet.structures import DetDataSample
from mmdet.visualization import DetLocalVisualizer as MMDetVisualizer
from mmengine.dist import master_only
from mmengine.structures import InstanceData

from swin_mmdet.registry import VISUALIZERS
from swin_mmdet.visualization.instances import ALPHA, draw_instances, enlarged, enlarged_image, enlargement

MAPS = ('gt_sem_seg', 'pred_sem_seg', 'gt_panoptic_seg', 'pred_panoptic_seg')


@VISUALIZERS.register_module()
class DetLocalVisualizer(MMDetVisualizer):
    """mmdet's visualizer, with other drawings of boxes and masks.

    Text and lines grow with the picture, and a small one is enlarged first. A label stands beside its object where
    there is room. Detections in one place share a box and a label. OpenCV and Pillow draw: on the canvas of
    matplotlib 3.11 mmdet's drawings appear twice, the picture smaller than it is.
    """

    def __init__(self, name: str = 'visualizer', *args: object, alpha: float = ALPHA, **kwargs: object) -> None:
        super().__init__(name, *args, alpha=alpha, **kwargs)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """As in mmdet; `image` is [H, W, 3] in RGB."""
        factor = enlargement(image)
        if factor > 1 and data_sample is not None and not any(name in data_sample for name in MAPS):
            image = enlarged_image(image, factor)
            data_sample = enlarged_sample(data_sample, factor, pred_score_thr)
        super().add_datasample(
            name, image, data_sample, draw_gt, draw_pred, show, wait_time, out_file, pred_score_thr, step
        )

    def _draw_instances(
        self,
        image: np.ndarray,
        instances: InstanceData,
        classes: Sequence[str] | None,
        palette: list[tuple] | str | None,
    ) -> np.ndarray:
        return draw_instances(
            image, instances, classes, palette if self.bbox_color is None else self.bbox_color, self.alpha
        )


def enlarged_sample(data_sample: DetDataSample, factor: int, score_thr: float) -> DetDataSample:
    """The instances for a picture that is `factor` times as large; of the predicted those above the threshold."""
    new = DetDataSample()
    for name in ('gt_instances', 'pred_instances'):
        if name in data_sample:
            instances = data_sample.get(name).cpu()
            if 'scores' in instances:
                instances = instances[instances.scores > score_thr]
            setattr(new, name, enlarged(instances, factor))
    return new

"""Detections of the last evaluation stay in the work-dir, where a report finds them."""

from mmengine.hooks import Hook
from mmengine.runner import Runner


class KeepDetectionsHook(Hook):
    """Tells the metrics of a run that can keep detections (`swin_mmdet.CocoMetric`) where, and of which weights."""

    def before_val(self, runner: Runner) -> None:
        self._tell(runner, runner.val_loop, f'iteration {runner.iter}')

    def before_test(self, runner: Runner) -> None:
        self._tell(runner, runner.test_loop, str(runner._load_from or 'weights of no file'))

    @staticmethod
    def _tell(runner: Runner, loop, weights: str) -> None:
        for metric in loop.evaluator.metrics:
            if hasattr(metric, 'keep_detections'):
                metric.keep_detections(runner.work_dir, weights)

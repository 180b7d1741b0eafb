"""Broken images do not end a run: they are left out, counted and listed; too many end it after saving."""

from pathlib import Path

from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import Dataset

from swin_mmdet.engine.guards.broken_images import CarefulReading, leaves, read_list, without_detections
from swin_mmdet.engine.guards.stop_hook import stop_hook
from swin_mmdet.errors import UserError
from swin_mmdet.registry import HOOKS

LIST = 'broken_images.txt'


@HOOKS.register_module()
class BrokenImagesHook(Hook):
    """Lists the images that cannot be read in the work-dir's `broken_images.txt`, with the reason of each.

    In training another image is drawn in its place, by `swin_mmdet`'s loops the same one when a run goes on. An
    evaluation counts it as an image without detections.

    Args:
        most: the share of the training's images that may be broken; with more the run ends, after it was saved.
        interval: iterations between two looks at the list.
    """

    def __init__(self, most: float = 0.01, interval: int = 10) -> None:
        self.most, self.interval = most, interval
        self._known: dict[str, str] = {}
        self._evaluated: list[str] = []
        self._images = 1

    def before_train(self, runner: Runner) -> None:
        self.path = Path(runner.work_dir, LIST)
        self._known = read_list(self.path)
        self._images = len(runner.train_dataloader.dataset)
        read_carefully(runner.train_dataloader.dataset, self.path)

    def after_train_iter(self, runner: Runner, *_, **__) -> None:
        if self.every_n_train_iters(runner, self.interval):
            self._look(runner)

    def after_train(self, runner: Runner) -> None:
        self._look(runner)

    def after_run(self, runner: Runner) -> None:
        del runner
        if problem := self._problem():
            raise UserError(problem)

    def before_val(self, runner: Runner) -> None:
        self._before_evaluation(runner, runner.val_dataloader.dataset, runner.val_evaluator)

    def before_test(self, runner: Runner) -> None:
        self._before_evaluation(runner, runner.test_dataloader.dataset, runner.test_evaluator)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        del metrics
        self._report(runner)

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        del metrics
        self._report(runner)

    def _look(self, runner: Runner) -> None:
        found = read_list(self.path)
        for path, reason in found.items():
            if path not in self._known:
                runner.logger.warning(f'{path} cannot be read ({reason}): another image is taken in its place')
        self._known = found
        if problem := self._problem():
            stop = stop_hook(runner)
            if stop is None:
                raise UserError(problem)
            stop.ask('broken images')

    def _problem(self) -> str | None:
        if not len(self._known) > self.most * self._images:
            return None
        return (
            f'{len(self._known)} of {self._images} images cannot be read, more than {self.most:.2%}: {self.path} lists '
            'them; mend or remove them, or allow more (most=... of BrokenImagesHook), and go on with --resume'
        )

    def _before_evaluation(self, runner: Runner, dataset: Dataset, evaluator: Evaluator) -> None:
        read_carefully(dataset, Path(runner.work_dir, LIST))
        self._evaluated = []
        if 'process' in vars(evaluator):
            return
        process = evaluator.process

        def process_rest(data_samples: list, data_batch: dict | None = None) -> None:
            self._evaluated += without_detections(data_samples)
            process(data_samples, data_batch)

        evaluator.process = process_rest

    def _report(self, runner: Runner) -> None:
        if self._evaluated:
            runner.logger.warning(
                f'{len(self._evaluated)} images could not be read and count as images without detections: '
                f'{", ".join(self._evaluated[:5])}{", ..." if len(self._evaluated) > 5 else ""}; all are listed in '
                f'{Path(runner.work_dir, LIST)}'
            )


def read_carefully(dataset: Dataset, listed: Path) -> None:
    for leaf in leaves(dataset):
        if 'prepare_data' not in vars(leaf):
            leaf.prepare_data = CarefulReading(leaf, listed)

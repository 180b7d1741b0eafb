"""mmengine's loops of training, which begin at any iteration with the batches and random numbers that it would have.

mmengine's own read again all that was trained on, or begin the epoch anew.
"""

from mmengine.dist import get_rank
from mmengine.hooks import EMAHook
from mmengine.runner import BaseLoop, Runner
from mmengine.runner import EpochBasedTrainLoop as MMEngineEpochBasedTrainLoop
from mmengine.runner import IterBasedTrainLoop as MMEngineIterBasedTrainLoop
from torch import nn
from torch.utils.data import DataLoader

from swin_mmdet.engine.loader_workers import keep_workers
from swin_mmdet.engine.resuming.numbered_batches import NumberedLoader
from swin_mmdet.engine.resuming.process_state import generators_kept
from swin_mmdet.registry import LOOPS


class EvaluationStopped(Exception):
    """Raised by a hook inside an evaluation that shall end at once."""


class ResumableLoop(BaseLoop):
    """What both loops share; a mixin before one of mmengine's loops."""

    endless: bool

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, *args, **kwargs) -> None:
        if isinstance(dataloader, dict):
            diff_rank_seed = runner._randomness_cfg.get('diff_rank_seed', False)
            dataloader = runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=diff_rank_seed)
        # states of the generators before an evaluation, while it runs
        self.held_generators: dict | None = None
        # a checkpoint was saved in the middle of one
        self.evaluates_first = False
        super().__init__(runner, NumberedLoader(dataloader, (runner.seed, get_rank()), self.endless), *args, **kwargs)

    def _evaluate(self) -> None:
        """Evaluate; the training after it is the same as without."""
        keep_workers(self.runner.val_loop.dataloader)
        with generators_kept() as self.held_generators:
            try:
                self.runner.val_loop.run()
            except EvaluationStopped:
                for hook in self.runner.hooks:
                    if isinstance(hook, EMAHook):
                        # gives the model back its own weights
                        hook.after_val_epoch(self.runner)
        self.held_generators = None

    def _evaluate_first(self) -> None:
        if self.evaluates_first and self.runner.val_loop is not None:
            self._evaluate()

    def _take_seed(self) -> None:
        """That of the run, which a checkpoint sets where nobody else did, after the loader was built."""
        batches, seed = self.dataloader.batch_sampler, self.runner.seed
        if batches.seed[0] != seed:
            batches.seed = seed, *batches.seed[1:]
            if hasattr(batches.sampler, 'seed') and not self.runner._randomness_cfg.get('diff_rank_seed'):
                batches.sampler.seed = seed

    def _evaluates_now(self, count: int, last: int) -> bool:
        due = count % self.val_interval == 0 or count == last
        return self.runner.val_loop is not None and count >= self.val_begin and due


@LOOPS.register_module()
class EpochBasedTrainLoop(ResumableLoop, MMEngineEpochBasedTrainLoop):
    """mmengine's loop, of the same arguments; one that goes on within an epoch trains on the rest of it."""

    endless = False
    _epoch: int

    def run(self) -> nn.Module:
        self._take_seed()
        self.runner.call_hook('before_train')
        length = len(self.dataloader)
        # also of a checkpoint that names the epoch at whose end it was saved
        self._epoch = max(self._epoch, self._iter // length)
        self._evaluate_first()
        while self._epoch < self._max_epochs and not self.stop_training:
            self.run_epoch()
            self._decide_current_val_interval()
            if not self.stop_training and self._evaluates_now(self._epoch, self._max_epochs):
                self._evaluate()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        done = max(self._iter - self._epoch * len(self.dataloader), 0)
        self.dataloader.batch_sampler.begin(self._iter, done)
        for index, data_batch in enumerate(self.dataloader, done):
            self.run_iter(index, data_batch)
            if self.stop_training and index + 1 < len(self.dataloader):
                return
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class IterBasedTrainLoop(ResumableLoop, MMEngineIterBasedTrainLoop):
    """mmengine's loop, of the same arguments."""

    endless = True

    def run(self) -> nn.Module:
        self._take_seed()
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.dataloader.batch_sampler.begin(self._iter, self._iter)
        self.dataloader_iterator = iter(self.dataloader)
        self._evaluate_first()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            if not self.stop_training and self._evaluates_now(self._iter, self._max_iters):
                self._evaluate()
        # its workers would read on
        self.dataloader_iterator.close()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

"""Checkpoints that a kill at any moment leaves whole, written while training goes on, from which a run goes on exactly.

mmengine's hook removes the old checkpoint before it writes the new one, and writes under the final name.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import barrier, broadcast_object_list, gather_object, get_rank, get_world_size, is_main_process
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook as MMEngineCheckpointHook
from mmengine.runner import Runner

from swin_mmdet.engine.resuming.process_state import process_state, set_process_state
from swin_mmdet.engine.saving.state import training_state
from swin_mmdet.engine.saving.whole_file import remove_left_overs, write_text
from swin_mmdet.engine.saving.writer import CheckpointWriter
from swin_mmdet.registry import HOOKS

KEPT, PROCESSES = 'kept_checkpoints', 'processes'


@HOOKS.register_module()
class CheckpointHook(MMEngineCheckpointHook):
    """mmengine's hook, of the same arguments and files; folders of other file systems than the local one stay its own.

    Each file is written beside its name, flushed to the disk and renamed; then `last_checkpoint` names it in the same
    way; then the oldest of more than `max_keep_ckpts` goes. What a kill has left half written is removed at the next
    start. A checkpoint that cannot be written, or holds NaN, leaves those before it as they are.

    Args:
        background: write while training goes on: a save then costs a step the copy of its tensors.
    """

    def __init__(self, interval: int = -1, by_epoch: bool = True, *, background: bool = True, **options) -> None:
        super().__init__(interval, by_epoch, **options)
        self.writer = CheckpointWriter(background)
        # (epoch, iteration) that the newest file goes on from
        self._saved: tuple[int, int] | None = None
        self._resumed: dict | None = None
        # files that go when the next one is written
        self._outdated: list[str] = []

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        self._is_ours = type(self.file_backend) is LocalBackend and isinstance(runner, Runner)
        if self._is_ours and is_main_process():
            self._config = runner.cfg.pretty_text
            for folder in {str(self.out_dir), runner.work_dir}:
                if names := remove_left_overs(folder):
                    runner.logger.info(f'removed what was being written when a run ended: {", ".join(names)}')
        if self._resumed:
            set_process_state(runner, self._resumed)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        # mmengine would run it as a program, in search of a number that nobody writes any more
        checkpoint.get('meta', {}).pop('config', None)
        if not runner._resume:
            return
        runner.train_loop.evaluates_first = checkpoint['meta'].get('evaluates', False)
        states = checkpoint.pop(PROCESSES, None)
        if states and len(states) == get_world_size():
            self._resumed = states[get_rank()]
        else:
            had = f'those of {len(states)} processes, this run has {get_world_size()}' if states else 'none'
            runner.logger.warning(f'the checkpoint has no states of the random generators for this run ({had}): it '
                                  'goes on with other random numbers than an uninterrupted one')  # fmt: skip

    def before_train_iter(self, runner: Runner, *_, **__) -> None:
        # again: mmengine's loop reads in between what was trained on
        if self._resumed:
            set_process_state(runner, self._resumed)
            self._resumed = None

    def after_train(self, runner: Runner) -> None:
        self.writer.wait()
        super().after_train(runner)

    def close(self) -> None:
        """A run that fails ends when its last checkpoint is written."""
        self.writer.wait()

    def save_now(self, runner: Runner, epoch: int, iteration: int, evaluates: bool = False) -> str | None:
        """Save a run that ends before its time, after so many epochs and iterations; the file, or None if it failed.

        Every process of the run has to call it.

        Args:
            evaluates: an evaluation is due that was not finished; the run goes on with it.
        """
        if self._saved != (epoch, iteration) or evaluates:
            self._save(runner, f'iter_{iteration}.pth', dict(epoch=epoch, iter=iteration, evaluates=evaluates))
        written = self.writer.wait()
        # a launcher may end all processes when the first has ended
        barrier()
        return self.last_ckpt if written else None

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        if self._is_ours:
            self._save(runner, self.filename_tmpl.format(step), meta)
        else:
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save(self, runner: Runner, name: str, meta: dict) -> None:
        self._saved = meta['epoch'], meta['iter']
        processes = gather_object(process_state(runner))
        # all processes know it: those that save a best one save it again together
        self.last_ckpt = path = self.file_backend.join_path(self.out_dir, name)
        if not is_main_process():
            return
        # what has failed is not among them
        self.writer.wait()
        info = runner.message_hub.runtime_info
        kept = [one for one in _kept(info, self.filename_tmpl) if one != name and Path(self.out_dir, one).is_file()]
        more = max(len(kept) + 1 - self.max_keep_ckpts, 0) if self.max_keep_ckpts > 0 else 0
        # with those whose successor could not be written
        outdated = self._outdated
        outdated += kept[:more]
        kept = [*kept[more:], name]
        runner.message_hub.update_info(KEPT, kept)
        runner.message_hub.update_info('last_ckpt', path)

        def then() -> None:
            write_text(os.path.join(runner.work_dir, 'last_checkpoint'), path)
            for old in outdated:
                Path(self.out_dir, old).unlink(missing_ok=True)
            outdated.clear()

        state = training_state(runner, self._config, meta, self.save_optimizer, self.save_param_scheduler)
        state[PROCESSES] = processes
        self.writer.write(state, path, then)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not self.save_best or not self._is_ours:
            super()._save_best_checkpoint(runner, metrics)
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        step = runner.epoch if self.by_epoch else runner.iter
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        outdated = [
            self._save_best(runner, key, metrics[key], self.filename_tmpl.format(step), meta)
            for key, rule in zip(self.key_indicators, self.rules)
            if self._is_best(runner, key, rule, metrics[key])
        ]
        if outdated and self.last_ckpt is not None:
            # a run that goes on from it knows the new best
            self._save_checkpoint_with_step(runner, step, meta)
            self.writer.wait()
        for old in outdated:
            if old and is_main_process():
                Path(old).unlink(missing_ok=True)
                runner.logger.info(f'The previous best checkpoint {old} is removed')

    def _is_best(self, runner: Runner, key: str, rule: str, score: float | None) -> bool:
        best = runner.message_hub.runtime_info.get(self._info('best_score', key), self.init_value_map[rule])
        return score is not None and self.is_better_than[key](score, best)

    def _save_best(self, runner: Runner, key: str, score: float, name: str, meta: dict) -> str | None:
        """Save the best one by a metric; the file of the one before, which can go now."""
        path = self.file_backend.join_path(self.out_dir, f'best_{key}_{name}'.replace('/', '_'))
        names = self._info('best_score', key), self._info('best_ckpt', key)
        before = [runner.message_hub.runtime_info.get(one) for one in names]
        for one, value in zip(names, (score, path)):
            runner.message_hub.update_info(one, value)
        written = [True]
        if is_main_process():
            self.writer.write(training_state(runner, self._config, meta, optimizer=False, schedulers=False), path)
            written = [self.writer.wait()]
        broadcast_object_list(written)
        if not written[0]:
            for one, value in zip(names, before):
                runner.message_hub.runtime_info.pop(one)
                if value is not None:
                    runner.message_hub.update_info(one, value)
            return None
        self._remember_best(key, path)
        runner.logger.info(f'The best checkpoint with {score:0.4f} {key} is saved to {os.path.basename(path)}.')
        return before[1] if before[1] != path else None

    def _info(self, name: str, key: str) -> str:
        return name if len(self.key_indicators) == 1 else f'{name}_{key}'

    def _remember_best(self, key: str, path: str) -> None:
        """Where mmengine's part of the hook, which publishes models, looks for it."""
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[key] = path


def checkpoint_hook(runner: Runner) -> CheckpointHook | None:
    return next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)


def _kept(info: dict, template: str) -> Sequence[str]:
    """Names of the checkpoints that this run has written, the oldest first; mmengine's hook noted their numbers."""
    return info.get(KEPT) or [template.format(step) for step in info.get('keep_ckpt_ids', ())]

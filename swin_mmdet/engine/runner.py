"""Runners whose console is for people and whose weights are of any known format: to load, to test, to train."""

import copy
from itertools import chain, count
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.evaluator import Evaluator
from mmengine.hooks import EMAHook, Hook
from mmengine.logging import MMLogger
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict, _ParamScheduler
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.visualization import Visualizer
from torch import nn
from torch.utils.data import DataLoader

from swin_mmdet.config import type_name
from swin_mmdet.engine.console import describe_groups, open_log, prints_in_file
from swin_mmdet.engine.frozen_parts import FreezeHook, freeze
from swin_mmdet.engine.gradient_strides import stride_as_gradients
from swin_mmdet.engine.guards import BrokenImagesHook, guard, lost_process_named
from swin_mmdet.engine.late_evaluator import LateEvaluator
from swin_mmdet.engine.load_weights import load_weights
from swin_mmdet.engine.loader_workers import end_workers
from swin_mmdet.engine.progress_hook import ProgressHook
from swin_mmdet.engine.run_length import interval_problems
from swin_mmdet.engine.saving.curves import keep_training
from swin_mmdet.engine.saving.whole_file import write_text
from swin_mmdet.engine.schedule_problems import schedule_problems
from swin_mmdet.engine.schedules import described, scale_rates
from swin_mmdet.engine.warm_up import bound_warm_up
from swin_mmdet.errors import UserError
from swin_mmdet.recording import RecordStepsHook
from swin_mmdet.registry import RUNNERS

# of the optimizer; a run with fewer is too short for large batches
FEW_STEPS = 1000
# settings that are others where processes are more or fewer
OF_PROCESSES = 'batch', 'learning rate', 'schedule'
SCALES = {'linear': lambda ratio: ratio, 'sqrt': lambda ratio: ratio**0.5}


class LoadingRunner(Runner):
    """A runner that takes `load_from` through `load_weights` (resuming stays mmengine's), with a console for people."""

    strict = False

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        open_log(logger, self.seed, self.world_size)
        return logger

    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """A new one with this run's folder: mmengine takes one of the same name, and mmdet's configs have one name."""
        if isinstance(visualizer, dict):
            name = visualizer.get('name', self.experiment_name)
            names = chain([name], (f'{name}_{number}' for number in count(2)))
            visualizer = copy.deepcopy(visualizer)
            visualizer['name'] = next(one for one in names if not Visualizer.check_instance_created(one))
        built = super().build_visualizer(visualizer)
        keep_training(built)
        return built

    def register_hooks(self, *hooks: Any, **more: Any) -> None:
        super().register_hooks(*hooks, **more)
        self.register_hook(ProgressHook())

    @master_only
    def dump_config(self) -> None:
        """As mmengine names it; a link in its place is replaced, not followed."""
        name = Path(self.cfg.filename or f'{self.timestamp}.py').name
        write_text(Path(self.work_dir, name), self.cfg.dump())

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> DataLoader:
        with prints_in_file(MMLogger.get_current_instance()):
            return Runner.build_dataloader(*args, **kwargs)

    def build_evaluator(self, evaluator: Any) -> Evaluator:
        with prints_in_file(self.logger):
            if isinstance(evaluator, list) or (isinstance(evaluator, dict) and 'metrics' not in evaluator):
                return LateEvaluator(evaluator)
            return super().build_evaluator(evaluator)

    def load_checkpoint(self, filename: str, *args: Any, **kwargs: Any) -> dict:
        if self._resume:
            return super().load_checkpoint(filename, *args, **kwargs)
        model = self.model
        while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
            model = model.module
        load_weights(model, filename, self.strict)
        checkpoint = {'state_dict': model.state_dict()}
        # for the EMA hook, which keeps a copy of its own
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        self._has_loaded = True
        return checkpoint


class StrictRunner(LoadingRunner):
    """For testing: refuses a checkpoint of another model instead of testing random weights.

    Images that cannot be read count as without detections, and are listed.
    """

    strict = True

    def test(self) -> dict:
        if not any(isinstance(hook, BrokenImagesHook) for hook in self.hooks):
            self.register_hook(BrokenImagesHook())
        metrics = super().test()
        end_workers(self.test_loop.dataloader)
        return metrics


@RUNNERS.register_module()
class TrainingRunner(LoadingRunner):
    """For training: takes `frozen_parts=[...]` and `auto_scale_lr=dict(rule='linear' | 'sqrt')` from its config.

    Its schedule ends with the run, its rates are those of the batch, and resuming refuses what would not go on.

    is_elastic: a launcher started it again, perhaps with other processes than before; the batch of each stays.
    """

    is_elastic = False
    _batch, _rate, _rate_factor, _schedule = None, None, 1.0, 'constant'

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Freezes parts before distributed training looks for parameters with a gradient."""
        self._frozen = []
        if patterns := self.cfg.get('frozen_parts'):
            try:
                self._frozen = freeze(model, patterns)
            except ValueError as error:
                raise UserError(f'parts to freeze: {error}') from error
        if torch.cuda.is_available() and type_name(self.cfg.optim_wrapper) == 'AmpOptimWrapper':
            stride_as_gradients(model)
        return super().wrap_model(model_wrapper_cfg, model)

    @classmethod
    def from_cfg(cls, cfg: Config) -> 'TrainingRunner':
        """With all guards of `swin_mmdet.engine.guards`."""
        guarded = copy.deepcopy(cfg)
        guard(guarded)
        return super().from_cfg(guarded)

    def register_hooks(self, *hooks: Any, **more: Any) -> None:
        super().register_hooks(*hooks, **more)
        self.register_hook(SettingsHook())
        if not any(isinstance(hook, RecordStepsHook) for hook in self.hooks):
            self.register_hook(RecordStepsHook())

    def train(self) -> nn.Module:
        if self._frozen:
            self.register_hook(FreezeHook(self._frozen))
        try:
            with lost_process_named(self):
                model = super().train()
            for loop in (self.train_loop, self.val_loop):
                if loop is not None:
                    end_workers(loop.dataloader)
            return model
        finally:
            # the folder is left to others when nothing is written into it any more
            for hook in reversed(self.hooks):
                if hasattr(hook, 'close'):
                    hook.close()

    def build_optim_wrapper(self, optim_wrapper: dict | OptimWrapper) -> OptimWrapper | OptimWrapperDict:
        """Sums up the parameter groups, of which mmengine logs every parameter."""
        built = super().build_optim_wrapper(optim_wrapper)
        for one in built.values() if isinstance(built, OptimWrapperDict) else [built]:
            self.logger.info(describe_groups(one.optimizer))
        return built

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None) -> None:
        """Scales learning rates by the images of an optimizer step, accumulated ones too; logs the batch."""
        if isinstance(optim_wrapper, OptimWrapperDict):
            super().scale_lr(optim_wrapper, auto_scale_lr)
            return
        options, loader = auto_scale_lr or {}, self.train_dataloader
        # a sampler of batches takes the place of the loader's own number
        images, counts = loader.batch_size or loader.batch_sampler.batch_size, optim_wrapper._accumulative_counts
        batch, base = self.world_size * images * counts, options.get('base_batch_size')
        rule = options.get('rule', 'linear') if options.get('enable') else None
        factor = SCALES[rule](batch / base) if rule else 1.0
        # with mmengine's record of the rate that no parameter has a factor for, which it logs as `base_lr`
        for group in optim_wrapper.param_groups:
            group['lr'] *= factor
        scaled = f', scaled by {factor:.4g} ({rule}; the recipe has a batch of {base})' if rule else ''
        by_epoch = isinstance(self.train_loop, EpochBasedTrainLoop)
        passes = self.max_iters * self.world_size * images / max(len(loader.dataset), 1)
        in_all = f'{self.max_iters / counts:.6g} in all, {passes:.3g} times over the data'
        steps = f'{len(loader) / counts:.6g} an epoch' if by_epoch else in_all
        rate = optim_wrapper.optimizer.defaults['lr'] * factor
        self._batch, self._rate, self._rate_factor = batch, rate, factor
        self.logger.info(
            f'batch {batch} = {self.world_size} processes x {images} images x {counts} accumulated; '
            f'learning rate {rate:.4g}{scaled}; optimizer steps: {steps}'
        )
        if base and batch != base and not rule:
            self.logger.warning(self._hint(batch, base, counts))

    def _hint(self, batch: int, base: int, counts: int) -> str:
        hint = f"batch is {batch}, the recipe's {base}: use --accumulate auto (same result, slower) or --auto-scale-lr"
        left = self.max_iters // counts * batch // base
        if batch < base and left < FEW_STEPS:
            hint += f'; accumulated to a batch of {base} this short run has {left} steps of the optimizer'
        return hint

    def build_param_scheduler(self, scheduler: _ParamScheduler | dict | list) -> list | dict:
        """Schedulers whose warm-up ends and whose rates are scaled as the optimizer's; what does not fit is said."""
        if any(isinstance(one, _ParamScheduler) for one in _flat(scheduler)):  # mmengine builds twice where it resumes
            return super().build_param_scheduler(scheduler)
        fitted, lines = copy.deepcopy(scheduler), []
        by_epoch = isinstance(self.train_loop, EpochBasedTrainLoop)
        run = len(self.train_dataloader), self.max_iters, by_epoch
        scale_rates(fitted, self._rate_factor)
        if not self.cfg.get('keep_warm_up'):
            lines = bound_warm_up(fitted, *run)
        for line in lines:
            self.logger.info(line)
        for line in schedule_problems(fitted, *run) + interval_problems(self.cfg):
            self.logger.warning(line)
        self._schedule = described(fitted)
        return super().build_param_scheduler(fitted)

    def settings(self) -> dict:
        """What a resumed run must share with this one, as its optimizer and schedule go on from there."""
        options = self.auto_scale_lr or {}
        of_the_optimizer = {'batch': self._batch, 'learning rate': f'{self._rate:.6g}'} if self._batch else {}
        return {
            'accumulated iterations': getattr(self.optim_wrapper, '_accumulative_counts', 1),
            'scaling of the learning rate': options.get('rule', 'linear') if options.get('enable') else 'none',
            'frozen parts': list(self.cfg.get('frozen_parts', [])),
            **of_the_optimizer,
            'schedule': self._schedule,
            'processes': self.world_size,
            'iterations an epoch': len(self.train_dataloader),
        }

    def load_checkpoint(self, filename: str, *args: object, **kwargs: object) -> dict:
        checkpoint = super().load_checkpoint(filename, *args, **kwargs)
        if self._resume:
            self._check_resumed(filename, checkpoint)
        return checkpoint

    def _check_resumed(self, filename: str, checkpoint: dict) -> None:
        if 'ema_state_dict' in checkpoint and not any(isinstance(hook, EMAHook) for hook in self.hooks):
            raise UserError(f'--resume {filename}: it was trained with averaged weights; add --ema')
        if problem := _of_another_model(self.model, checkpoint.get('state_dict', {})):
            raise UserError(f'--resume {filename}: its weights are of another model: {problem}')
        # a checkpoint of another program has none
        before, now = checkpoint['meta'].get('settings', {}), self.settings()
        seeds = checkpoint['meta'].get('seed'), self._randomness_cfg.get('seed')
        if None not in seeds:
            # without a seed of its own a run takes that of its first part
            before, now = {**before, 'seed': seeds[0]}, {**now, 'seed': seeds[1]}
        processes, length = now.pop('processes'), now.pop('iterations an epoch')
        others = before.get('processes', processes)
        if others != processes and self.is_elastic:
            self._go_on_with(processes, others, checkpoint['meta'], length)
            before = {name: value for name, value in before.items() if name not in OF_PROCESSES}
        of_them = '' if others == processes else f' (then {others} processes, now {processes})'
        for name, value in now.items():
            if before.get(name, value) != value:
                raise UserError(
                    f'--resume {filename}: it was trained with {name}: {before[name]}; now: {value}{of_them}; its '
                    'optimizer and schedule go on, so give the same, or train from its weights: --cfg-options '
                    f'load_from={filename}'
                )

    def _go_on_with(self, processes: int, others: int, meta: dict, length: int) -> None:
        """Where so many processes were others: as far in the epoch, with a batch of another size at the old rates."""
        before = meta['settings']
        if isinstance(self.train_loop, EpochBasedTrainLoop):
            meta['iter'] = round(meta['iter'] * length / before['iterations an epoch'])
        self.logger.warning(
            f'{others} processes became {processes}: a batch of {self._batch} images where there were '
            f'{before.get("batch", "others")}; learning rates and schedule stay'
        )

    def resume(self, filename: str, *args: object, **kwargs: object) -> None:
        try:
            super().resume(filename, *args, **kwargs)
        except ValueError as error:
            if 'parameter group' not in str(error):
                raise
            raise UserError(
                f'--resume {filename}: its optimizer is of another model ({error}); give the same config and options '
                'as before'
            ) from error
        rates = sorted({rate for one in self.optim_wrapper.get_lr().values() for rate in one})
        self.logger.info(f'learning rates go on from the checkpoint: {", ".join(f"{rate:.4g}" for rate in rates)}')


def _of_another_model(model: nn.Module, state: dict) -> str | None:
    """How the weights of a file differ in their shapes from those of a model, in words."""
    own = (model.module if is_model_wrapper(model) else model).state_dict()
    other = [name for name, value in own.items() if name in state and state[name].shape != value.shape]
    if not other:
        return None
    there, here = ('x'.join(map(str, weights[other[0]].shape)) for weights in (state, own))
    more = f' (and {len(other) - 1} others)' if len(other) > 1 else ''
    return f'{other[0]} has {there} there, {here} here{more}; give the same config, data and classes as before'


class SettingsHook(Hook):
    """Puts the `settings` of its runner into checkpoints."""

    def before_save_checkpoint(self, runner: TrainingRunner, checkpoint: dict) -> None:
        checkpoint['meta']['settings'] = runner.settings()


def _flat(schedulers: object) -> list:
    if isinstance(schedulers, dict) and 'type' not in schedulers:
        return [one for child in schedulers.values() for one in _flat(child)]
    return list(schedulers) if isinstance(schedulers, list | tuple) else [schedulers]

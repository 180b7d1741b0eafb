"""The runner of train.py: parts that do not train, the learning rate of another batch, and what a resume must keep."""

from launch import UserError
from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop
from torch import nn
from weights import LoadingRunner

from swin_mmdet.engine import FreezeHook, freeze
from swin_mmdet.engine.console import describe_groups

SCALES = {'linear': lambda ratio: ratio, 'sqrt': lambda ratio: ratio**0.5}


class TrainingRunner(LoadingRunner):
    """A runner that takes `frozen_parts=[...]` and `auto_scale_lr=dict(rule='linear' | 'sqrt')` from its config."""

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Freezes parts before distributed training looks for parameters with a gradient."""
        self._frozen = []
        if patterns := self.cfg.get('frozen_parts'):
            try:
                self._frozen = freeze(model, patterns)
            except ValueError as error:
                raise UserError(f'parts to freeze: {error}') from error
        return super().wrap_model(model_wrapper_cfg, model)

    def train(self) -> nn.Module:
        if self._frozen:
            self.register_hook(FreezeHook(self._frozen))
        return super().train()

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
        for group in optim_wrapper.optimizer.param_groups:
            group['lr'] *= factor
        scaled = f', scaled by {factor:.4g} ({rule}; the recipe has a batch of {base})' if rule else ''
        by_epoch = isinstance(self.train_loop, EpochBasedTrainLoop)
        steps = f'{len(loader) / counts:.6g} an epoch' if by_epoch else f'{self.max_iters / counts:.6g} in all'
        self.logger.info(
            f'batch {batch} = {self.world_size} processes x {images} images x {counts} accumulated; '
            f'learning rate {optim_wrapper.optimizer.defaults["lr"] * factor:.4g}{scaled}; optimizer steps: {steps}'
        )
        if base and batch != base and not rule:
            self.logger.warning(
                f"batch is {batch}, the recipe's {base}: use --accumulate auto (same result, slower) or --auto-scale-lr"
            )

    def settings(self) -> dict:
        """What a resumed run must share with this one, as its optimizer and schedule go on from there."""
        options = self.auto_scale_lr or {}
        return {
            'accumulated iterations': getattr(self.optim_wrapper, '_accumulative_counts', 1),
            'scaling of the learning rate': options.get('rule', 'linear') if options.get('enable') else 'none',
            'frozen parts': list(self.cfg.get('frozen_parts', [])),
        }

    def save_checkpoint(self, *args: object, meta: dict | None = None, **kwargs: object) -> None:
        super().save_checkpoint(*args, meta={**(meta or {}), 'settings': self.settings()}, **kwargs)

    def load_checkpoint(self, filename: str, *args: object, **kwargs: object) -> dict:
        checkpoint = super().load_checkpoint(filename, *args, **kwargs)
        if self._resume:
            self._check_resumed(filename, checkpoint)
        return checkpoint

    def _check_resumed(self, filename: str, checkpoint: dict) -> None:
        if 'ema_state_dict' in checkpoint and not any(isinstance(hook, EMAHook) for hook in self.hooks):
            raise UserError(f'--resume {filename}: it was trained with averaged weights; add --ema')
        # a checkpoint of another program has none
        before, now = checkpoint['meta'].get('settings', {}), self.settings()
        for name in before.keys() & now.keys():
            if before[name] != now[name]:
                raise UserError(f'--resume {filename}: it was trained with {name}: {before[name]}; now: {now[name]}')

    def resume(self, filename: str, *args: object, **kwargs: object) -> None:
        super().resume(filename, *args, **kwargs)
        rates = sorted({rate for one in self.optim_wrapper.get_lr().values() for rate in one})
        self.logger.info(f'learning rates go on from the checkpoint: {", ".join(f"{rate:.4g}" for rate in rates)}')

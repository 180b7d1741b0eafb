"""Weights of any known format into the detector of a config, for train.py, test.py and predict.py."""

from typing import Any

from launch import UserError
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner, load_state_dict
from torch import nn
from torch.utils.data import DataLoader

from swin_mmdet.checkpoint import CheckpointFile, has_swin_backbone, load_detector_weights, read_checkpoint
from swin_mmdet.engine.console import open_log, prints_in_file


def load_weights(model: nn.Module, source: str | CheckpointFile, strict: bool) -> None:
    """Load a file, or what was read from it, into a detector.

    Under `strict` every weight must fit, else heads of other classes may differ.
    """
    try:
        if has_swin_backbone(model):
            load_detector_weights(model, source, strict)
        else:
            load_state_dict(model, read_checkpoint(source).state_dict, strict)
    except (ValueError, RuntimeError) as error:
        name = source if isinstance(source, str) else source.source
        raise UserError(f'{name} does not fit the model of this config: {error}') from error


class LoadingRunner(Runner):
    """A runner that takes `load_from` through `load_weights` (resuming stays mmengine's), with a console for people."""

    strict = False

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        open_log(logger, self.seed, self.world_size)
        return logger

    @staticmethod
    def build_dataloader(*args: Any, **kwargs: Any) -> DataLoader:
        with prints_in_file(MMLogger.get_current_instance()):
            return Runner.build_dataloader(*args, **kwargs)

    def build_evaluator(self, evaluator: Any) -> Evaluator:
        with prints_in_file(self.logger):
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
    """For testing: refuses a checkpoint of another model instead of testing random weights."""

    strict = True

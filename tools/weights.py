"""Weights of any known format into the detector of a config, for train.py, test.py and predict.py."""

from typing import Any

from launch import UserError
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner, load_state_dict
from torch import nn

from swin_mmdet.checkpoint import has_swin_backbone, load_detector_weights, read_checkpoint


def load_weights(model: nn.Module, source: str, strict: bool) -> None:
    """Load a file into a detector; under `strict` every weight must fit, else heads of other classes may differ."""
    try:
        if has_swin_backbone(model):
            load_detector_weights(model, source, strict)
        else:
            load_state_dict(model, read_checkpoint(source).state_dict, strict)
    except (ValueError, RuntimeError) as error:
        raise UserError(f'{source} does not fit the model of this config: {error}') from error


class LoadingRunner(Runner):
    """A runner that takes `load_from` through `load_weights`; resuming stays mmengine's."""

    strict = False

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

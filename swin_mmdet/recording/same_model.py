"""Whether a model is still what it was when something was recorded of it."""

from torch import nn

from swin_mmdet.models.watched_model import WatchedModel
from swin_mmdet.recording.settings import Settings


class SameModel:
    """A model as it is: modules, hooks, settings, the memory of its weights, what is trained, what is in training mode.

    Attributes:
        watched: the model in flat lists.
    """

    def __init__(self, model: nn.Module) -> None:
        self.watched = WatchedModel(model)
        self._settings = Settings(model)
        self._flags = self.watched.flags()

    def is_still(self, model: nn.Module) -> bool:
        """Whether this is the model, unchanged; values of weights may be others."""
        return self.watched.is_of(model) and self.watched.flags() == self._flags and self._settings.are_the_same()

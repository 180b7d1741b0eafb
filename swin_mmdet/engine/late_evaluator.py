"""An evaluator that lets a GPU predict the next batch while it looks at the last."""

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement


class LateEvaluator(Evaluator):
    """mmengine's `Evaluator`, which takes a batch when the next one has been predicted.

    Detections of recorded predictions are fetched when they are looked at: so that is beside the next batch.
    """

    _last: tuple[Sequence[BaseDataElement], Any] | None = None

    def process(self, data_samples: Sequence[BaseDataElement], data_batch: Any | None = None) -> None:
        """As mmengine's, of the batch before."""
        last, self._last = self._last, (data_samples, data_batch)
        if last is not None:
            super().process(*last)

    def evaluate(self, size: int) -> dict:
        """As mmengine's, of all batches."""
        last, self._last = self._last, None
        if last is not None:
            super().process(*last)
        return super().evaluate(size)

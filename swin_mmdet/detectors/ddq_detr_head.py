"""mmdet's head of DDQ DETR (arXiv 2303.12776) in float32, as boxes want it."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import DDQDETRHead as MMDetDDQDETRHead
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.registry import MODELS


@MODELS.register_module()
class DDQDETRHead(MMDetDDQDETRHead):
    """mmdet's `DDQDETRHead`: same parameters, arguments, losses and detections, image by image as there.

    Under autocast mmdet's boxes are of half precision, by pixels off, and its targets cannot be written into them.
    """

    def loss(self, hidden_states: Tensor, references: Sequence[Tensor], *args, **kwargs) -> dict[str, Tensor]:
        """As of mmdet's."""
        given = hidden_states, references, *args
        with torch.autocast(hidden_states.device.type, enabled=False):
            return super().loss(*map(_wide, given), **{name: _wide(value) for name, value in kwargs.items()})

    def predict(
        self, hidden_states: Tensor, references: Sequence[Tensor], batch_data_samples: SampleList, rescale: bool = True
    ) -> list[InstanceData]:
        """As of mmdet's."""
        with torch.autocast(hidden_states.device.type, enabled=False):
            return super().predict(_wide(hidden_states), _wide(references), batch_data_samples, rescale)


def _wide(value: Any) -> Any:
    """Tensors of floating point, also those of a list, in float32."""
    if isinstance(value, (list, tuple)):
        return type(value)(map(_wide, value))
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value

"""mmdet's learned proposals of Sparse R-CNN, in full precision."""

from collections.abc import Sequence

from mmdet.models.dense_heads import EmbeddingRPNHead as MMDetEmbeddingRPNHead
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.ops.to_device import NewTensors, to_device
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class EmbeddingRPNHead(MMDetEmbeddingRPNHead):
    """mmdet's `EmbeddingRPNHead`: same parameters, arguments and proposals, without synchronising with a GPU.

    Sizes of images are float32 also in mixed precision, where mmdet's are of the maps' type: 1333 is 1336 in bfloat16.
    """

    def _decode_init_proposals(self, x: Sequence[Tensor], batch_data_samples: SampleList) -> list[InstanceData]:
        with NewTensors(to_device):
            # nothing but their type and device is taken of the maps
            return super()._decode_init_proposals([x[0][:0].float()], batch_data_samples)

"""LayerNorm for convolutions."""

import torch.nn.functional as F
from torch import Tensor, nn

from swin_mmdet.registry import MODELS


@MODELS.register_module()
class LayerNorm2d(nn.LayerNorm):
    """LayerNorm over the channels of each pixel of a map: [B, C, H, W] -> [B, C, H, W].

    `norm_cfg=dict(type='swin_mmdet.LayerNorm2d')` puts it behind convolutions of necks and heads, as ViTDet does
    (arXiv 2203.16527, appendix A.2).
    """

    def forward(self, x: Tensor) -> Tensor:
        innermost = x.permute(0, 2, 3, 1)
        return F.layer_norm(innermost, self.normalized_shape, self.weight, self.bias, self.eps).permute(0, 3, 1, 2)

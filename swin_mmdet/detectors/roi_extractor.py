"""mmdet's extractor of regions from a pyramid in one call, without asking the GPU which level has any."""

from collections.abc import Sequence

from mmcv.ops import RoIAlign
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor as MMDetSingleRoIExtractor
from torch import Tensor

from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.roi_align import pyramid_roi_align
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class SingleRoIExtractor(MMDetSingleRoIExtractor):
    """mmdet's `SingleRoIExtractor`: same arguments and values.

    Under autocast regions keep float32 coordinates; mmdet rounds them to the maps' type, in bf16 to whole pixels or
    worse. Another layer than an average `RoIAlign` runs as in mmdet; the log says so.
    """

    def forward(self, feats: Sequence[Tensor], rois: Tensor, roi_scale_factor: float | None = None) -> Tensor:
        """maps [B, C, H, W], rois [N, 5] (image, x1, y1, x2, y2) -> [N, C, size, size]."""
        reason = self._why_not_batched()
        if reason is not None:
            log_once(f'SingleRoIExtractor: as in mmdet: {reason}')
            return super().forward(feats, rois, roi_scale_factor)
        layers = self.roi_layers[: len(feats)]
        rois = rois.float()
        levels = self.map_roi_levels(rois, len(feats))
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        return pyramid_roi_align(
            feats, rois[:, 1:], rois[:, 0].long(), levels, [layer.spatial_scale for layer in layers],
            layers[0].output_size[0], layers[0].sampling_ratio,
        )  # fmt: skip

    def _why_not_batched(self) -> str | None:
        """None when every layer is an average RoIAlign into a square, else why in words."""
        for layer in self.roi_layers:
            if not isinstance(layer, RoIAlign) or layer.pool_mode != 'avg' or not layer.aligned:
                return f'the layer is {layer}'
            if layer.output_size[0] != layer.output_size[1]:
                return f'output_size={layer.output_size} is not square'
        return None

"""What the head of RepPoints V2 computes from maps: initial points, corners, foreground, and points refined by them."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmcv.ops import DeformConv2d
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.utils import multi_apply
from mmengine.model import bias_init_with_prob, normal_init
from torch import Tensor, nn

from swin_mmdet.models.derived_buffers import DerivedBuffers
from swin_mmdet.models.precise_conv import PreciseConv2d
from swin_mmdet.reppoints_v2.corner_pool import CornerPool

Maps = Sequence[Tensor]


class RepPointsV2Layers(DerivedBuffers, BaseDenseHead):
    """The layers of `RepPointsV2Head`, whose docstring explains the arguments; names are the official checkpoints'."""

    def __init__(
        self, num_classes: int, in_channels: int, *, norm_cfg: dict, feat_channels: int = 256, stacked_convs: int = 3,
        shared_stacked_convs: int = 1, point_feat_channels: int = 256, corner_dim: int = 64, num_points: int = 9,
        gradient_mul: float = 0.1, init_cfg: dict | None = None,
    ) -> None:
        """Raises ValueError for `num_points` that are not the square of an odd number."""
        super().__init__(init_cfg)
        kernel_size = round(num_points**0.5)
        if kernel_size**2 != num_points or not kernel_size % 2:
            raise ValueError(f'num_points={num_points} is not the square of an odd number')
        self.num_classes, self.gradient_mul = num_classes, gradient_mul

        def conv(channels: int, size: int = 3) -> ConvModule:
            return ConvModule(channels, feat_channels, size, padding=size // 2, norm_cfg=norm_cfg)

        def tower(depth: int) -> nn.ModuleList:
            return nn.ModuleList(conv(in_channels if index == 0 else feat_channels) for index in range(depth))

        self.cls_convs, self.reg_convs = tower(stacked_convs), tower(stacked_convs)
        self.shared_convs = nn.ModuleList(conv(feat_channels) for _ in range(shared_stacked_convs))
        self.reppoints_sem_out = nn.Conv2d(feat_channels, num_classes, 1)
        self.reppoints_sem_embedding = conv(feat_channels, 1)
        self.hem_tl = CornerPool(feat_channels, corner_dim, norm_cfg, backward=False)
        self.hem_br = CornerPool(feat_channels, corner_dim, norm_cfg, backward=True)
        self.reppoints_hem_tl_score_out = nn.Conv2d(feat_channels, 1, 3, padding=1)
        self.reppoints_hem_br_score_out = nn.Conv2d(feat_channels, 1, 3, padding=1)
        self.reppoints_hem_tl_offset_out = nn.Conv2d(feat_channels, 2, 3, padding=1)
        self.reppoints_hem_br_offset_out = nn.Conv2d(feat_channels, 2, 3, padding=1)
        self.reppoints_pts_init_conv = nn.Conv2d(feat_channels, point_feat_channels, 3, padding=1)
        self.reppoints_pts_init_out = PreciseConv2d(point_feat_channels, 2 * num_points, 1)
        # scores and offsets of both corners go with the features
        sampled = feat_channels + 6, point_feat_channels, kernel_size
        self.reppoints_pts_refine_conv = DeformConv2d(*sampled, padding=kernel_size // 2)
        self.reppoints_pts_refine_out = PreciseConv2d(point_feat_channels, 2 * num_points, 1)
        self.reppoints_cls_conv = DeformConv2d(*sampled, padding=kernel_size // 2)
        self.reppoints_cls_out = nn.Conv2d(point_feat_channels, num_classes, 1)
        self._kernel_size = kernel_size
        self.register_derived_buffers()

    def derived_buffers(self) -> dict[str, Tensor]:
        """Where a convolution looks, in steps from its center."""
        return {'kernel_offsets': _kernel_offsets(self._kernel_size)}

    def init_weights(self) -> None:
        """Small normal weights but in corner pools and the embedding; a score starts at 0.01."""
        super().init_weights()
        rare = bias_init_with_prob(0.01)
        for tower in (self.cls_convs, self.reg_convs, self.shared_convs):
            for layer in tower:
                normal_init(layer.conv, std=0.01)
        for name, module in self.named_children():
            if name.startswith('reppoints_') and not isinstance(module, ConvModule):
                is_score = name.endswith(('cls_out', 'score_out', 'sem_out'))
                normal_init(module, std=0.01, bias=rare if is_score else 0)

    def forward(self, x: Maps) -> tuple[list[Tensor], ...]:
        """Maps [B, C, H_i, W_i] of each level -> six lists of maps of these levels, in float32.

        Class logits [B, K, H, W]; initial and refined points [B, 2 n, H, W], y and x of each in strides from its
        location; heat logits [B, 2, H, W]; offsets [B, 4, H, W], x and y of both corners; foreground logits
        [B, K, H, W].
        """
        return multi_apply(self.forward_single, x)[:-1]

    def forward_single(self, x: Tensor) -> tuple[Tensor, ...]:
        """The same of one level, and the features [B, C, H, W] of its classes."""
        cls_feat = pts_feat = x
        for conv in self.cls_convs:
            cls_feat = conv(cls_feat)
        for conv in self.reg_convs:
            pts_feat = conv(pts_feat)
        shared = pts_feat
        for conv in self.shared_convs:
            shared = conv(shared)

        foreground = self.reppoints_sem_out(shared)
        embedding = self.reppoints_sem_embedding(shared)
        upper_left, lower_right = self.hem_tl(shared + embedding), self.hem_br(shared + embedding)
        heat = torch.cat(
            [self.reppoints_hem_tl_score_out(upper_left), self.reppoints_hem_br_score_out(lower_right)], dim=1
        )
        offsets = torch.cat(
            [self.reppoints_hem_tl_offset_out(upper_left), self.reppoints_hem_br_offset_out(lower_right)], dim=1
        )

        pts_feat, cls_feat = pts_feat + embedding, cls_feat + embedding
        init = self.reppoints_pts_init_out(self.reppoints_pts_init_conv(pts_feat).relu())
        look_at = init.detach() + self.gradient_mul * (init - init.detach()) - self.kernel_offsets
        cls_feat = torch.cat([cls_feat, heat, offsets], dim=1)
        pts_feat = torch.cat([pts_feat, heat, offsets], dim=1)
        cls_feat = self.reppoints_cls_conv(cls_feat, look_at).relu()
        moves = self.reppoints_pts_refine_out(self.reppoints_pts_refine_conv(pts_feat, look_at).relu())
        maps = (self.reppoints_cls_out(cls_feat), init, moves + init.detach(), heat, offsets, foreground)
        return *(one.float() for one in maps), cls_feat


def _kernel_offsets(kernel_size: int) -> Tensor:
    """Where a convolution looks, y and x of each tap: [1, 2 kernel_size**2, 1, 1]."""
    side = torch.arange(kernel_size) - kernel_size // 2
    return torch.cartesian_prod(side, side).float().view(1, -1, 1, 1)

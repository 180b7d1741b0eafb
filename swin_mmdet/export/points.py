"""RepPoints V2 as a program."""

import torch
import torch.nn.functional as F
from mmcv.ops import DeformConv2d
from mmengine.config import ConfigDict
from torch import Tensor, nn

from swin_mmdet.export.dense import MOST_CANDIDATES, detections
from swin_mmdet.export.fixed_number import NOTHING, best, rows_of, take, why_not_suppressed
from swin_mmdet.export.program import Program
from swin_mmdet.reppoints_v2 import RepPointsV2Head
from swin_mmdet.reppoints_v2.corner_pool import CornerPool

# running maxima of as many places as maps of the smallest stride have, of images of up to 8192 pixels a side
BASE, POOLS = 4, 5


class Points(Program):
    """What ONNX has no operator for is made of others: running maxima, and deformable convolutions by GridSample."""

    sampled = (DeformConv2d,)

    def __init__(self, model: nn.Module, *, half: bool = False) -> None:
        super().__init__(model, half=half)
        for part in list(self.model.modules()):
            if isinstance(part, CornerPool):
                part.pool = running_max
            for name, child in part.named_children():
                if isinstance(child, self.sampled):
                    setattr(part, name, SampledConv(child))

    @staticmethod
    def rules(model: nn.Module) -> ConfigDict:
        return model.bbox_head.test_cfg

    @classmethod
    def why_not(cls, model: nn.Module) -> str | None:
        if type(model.bbox_head) is not RepPointsV2Head:
            return f'{type(model.bbox_head).__name__} finds masks as well, and boxes alone are exported'
        return why_not_suppressed(model.bbox_head.test_cfg)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        head = self.model.bbox_head
        cfg = head.test_cfg
        scores, _, points, heat, offsets, _ = head(self.maps(images, sizes))
        found = []
        for level in range(len(scores)):
            boxes, values, labels = self._of_level(level, scores[level], points[level], sizes)
            if level:
                # the first level has the corners of the next two, the second those of the rest
                known = 0 if level <= 2 else 1
                of_map = heat[known], offsets[known], head.point_strides[known]
                corners = [refined(one, which, *of_map) for which, one in enumerate(boxes.split(2, -1))]
                boxes = _within(torch.cat(corners, -1), sizes)
            found.append((boxes, values, labels))
        return detections(found, cfg)

    def _of_level(self, level: int, scores: Tensor, points: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [B, P, 4], scores and labels [B, P] of the best classes of the best points of a level."""
        head = self.model.bbox_head
        cfg, classes = head.test_cfg, head.num_classes
        values = rows_of(scores, classes).sigmoid()
        most, point = best(values.amax(-1), cfg.nms_pre)
        values = take(values, point)
        values = torch.where((values > cfg.score_thr) & (most > NOTHING)[..., None], values, NOTHING)
        values, place = best(values.flatten(1), MOST_CANDIDATES)
        at = place // classes
        point = point.gather(1, at)
        corners = take(rows_of(points, points.shape[1])[..., :4], point).unflatten(-1, (2, 2)).flip(-1)
        priors = head.prior_generator.single_level_grid_priors(scores.shape[-2:], level, device=scores.device)[point]
        boxes = (corners * head.point_strides[level] + priors[..., None, :2]).flatten(-2)
        return _within(boxes, sizes), values, place - at * classes


class SampledConv(nn.Module):
    """A deformable convolution of one group and stride 1 that keeps the size: its samples by GridSample."""

    def __init__(self, conv: DeformConv2d) -> None:
        super().__init__()
        self.weight = conv.weight
        side = conv.weight.shape[-1]
        taps = torch.arange(side) - side // 2
        self.register_buffer('taps', torch.cartesian_prod(taps, taps).float().to(conv.weight.device))

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """x [B, C, H, W], offset [B, 2 * taps, H, W], y and x of each -> [B, D, H, W]."""
        height, width = x.shape[-2:]
        row, column = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
        away = offset.unflatten(1, (-1, 2)) + self.taps[:, :, None, None]
        y, x_ = away[:, :, 0] + row[:, None], away[:, :, 1] + column
        grid = torch.stack([(2 * x_ + 1) / width - 1, (2 * y + 1) / height - 1], -1)
        samples = F.grid_sample(x, grid.flatten(1, 2), align_corners=False).unflatten(2, (-1, height))
        return torch.einsum('bcthw,dct->bdhw', samples, self.weight.flatten(2))


def running_max(x: Tensor, dim: int, backward: bool) -> Tensor:
    """`edge_pool` by max pools, each of `BASE` neighbours that are as far apart as those before it have seen."""
    size = x.shape[dim]
    steps = [BASE**power for power in range(POOLS) if not isinstance(size, int) or BASE**power < size]
    reach = (BASE - 1) * sum(steps)
    ends = (reach, 0) if backward else (0, reach)
    x = F.pad(x, (*((0, 0) if dim == 2 else ()), *ends), value=float('-inf'))
    for step in steps:
        kernel, dilation = ((BASE, 1), (step, 1)) if dim == 2 else ((1, BASE), (1, step))
        x = F.max_pool2d(x, kernel, stride=1, dilation=dilation)
    return x


def refined(corners: Tensor, which: int, heat: Tensor, offsets: Tensor, stride: int) -> Tensor:
    """`refine_corners` of a batch: corners [B, N, 2], heat [B, 2, H, W], offsets [B, 4, H, W], of which `which`."""
    height, width = heat.shape[-2:]
    x, y = (corners / stride).floor().long().unbind(-1)
    x, y = x.clamp(max=width - 2).clamp(min=0), y.clamp(max=height - 2).clamp(min=0)
    x, y = torch.stack([x, x + 1, x, x + 1], -1), torch.stack([y, y, y + 1, y + 1], -1)
    x, y = x.clamp(max=width - 1), y.clamp(max=height - 1)
    place = y * width + x
    hot = heat[:, which].flatten(1).gather(1, place.flatten(1)).view_as(place).argmax(-1, keepdim=True)
    x, y, place = (one.gather(-1, hot)[..., 0] for one in (x, y, place))
    moved = take(rows_of(offsets, 4)[..., 2 * which : 2 * which + 2], place)
    return (torch.stack([x, y], -1) + moved) * stride


def _within(boxes: Tensor, sizes: Tensor) -> Tensor:
    return boxes.clamp(min=0).minimum(sizes.flip(1).repeat(1, 2)[:, None].to(boxes.dtype))

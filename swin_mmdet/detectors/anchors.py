"""The anchors of a batch, kept for the sizes of maps that come again, and heads that have them."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmengine.config import ConfigDict
from torch import Tensor

from swin_mmdet.detectors.image_sizes import image_shapes, pad_shapes
from swin_mmdet.detectors.maps import sizes_of
from swin_mmdet.ops.tracing import remembered
from swin_mmdet.structures import training_batch

if TYPE_CHECKING:
    from mmdet.models.dense_heads import AnchorHead as Base
else:
    Base = object

Sizes = Sequence[tuple[int, int]]
# multi-scale training comes with hundreds of sizes: the last that were used are kept, some megabytes each
MAX_KEPT = 16
MAX_CHECKED = 1024


class AnchorCache:
    """Anchors of a generator for maps of `sizes`, level after level. Copies (`deepcopy`, pickle) start with none."""

    def __init__(self, generator: AnchorGenerator) -> None:
        self.generator = generator
        self._boxes = remembered(MAX_KEPT)(self._make_boxes)
        self._cells = remembered(MAX_KEPT)(self._make_cells)
        self._check = lru_cache(MAX_CHECKED)(self._check_image)

    def boxes(self, sizes: Sizes, device: torch.device) -> Tensor:
        """[N, 4] float32."""
        return self._boxes(tuple(sizes), device)

    def _make_boxes(self, sizes: Sizes, device: torch.device) -> Tensor:
        return torch.cat(self.generator.grid_priors(sizes, device=device))

    def inside(self, sizes: Sizes, device: torch.device, metas: Sequence[dict], border: int) -> Tensor:
        """Which of them the images have: [B, N] bool, by `pad_shape`, and `img_shape` where `border` is not negative.

        Raises:
            ValueError: an image without any.
        """
        cells = self._cells(tuple(sizes), device)
        inside = (cells < pad_shapes(metas, cells)[:, :, None]).all(1)
        if border < 0:
            return inside
        if training_batch(metas) is None:
            for meta in metas:
                self._check(tuple(sizes), tuple(meta['img_shape'][:2]), border)
        left, top, right, bottom = self.boxes(sizes, device).unbind(1)
        height, width = (image_shapes(metas, cells) + border).T[..., None]
        return inside & (left >= -border) & (top >= -border) & (right < width) & (bottom < height)

    def _make_cells(self, sizes: Sizes, device: torch.device) -> Tensor:
        """The row and column of pixels at which each anchor's cell begins: [2, N] float32."""
        levels = []
        for (height, width), (stride_x, stride_y), anchors in zip(
            sizes, self.generator.strides, self.generator.num_base_priors, strict=False
        ):
            rows = torch.arange(height, device=device, dtype=torch.float32) * stride_y
            columns = torch.arange(width, device=device, dtype=torch.float32) * stride_x
            cells = torch.stack([rows[:, None].expand(-1, width), columns.expand(height, -1)])
            levels.append(cells.flatten(1).repeat_interleave(anchors, 1))
        return torch.cat(levels, 1)

    def _check_image(self, sizes: Sizes, image: tuple[int, int], border: int) -> None:
        """Whether any anchor of maps of `sizes` lies at most `border` pixels beyond an image, asking no device."""
        for (rows, columns), (stride_x, stride_y), base in zip(
            sizes, self.generator.strides, self.generator.base_anchors
        ):
            for left, top, right, bottom in base.tolist():
                # the first cell whose anchor begins inside
                row, column = (max(0, math.ceil((-border - x) / by)) for x, by in ((top, stride_y), (left, stride_x)))
                if (
                    (row < rows and bottom + row * stride_y < image[0] + border)
                    and (column < columns and right + column * stride_x < image[1] + border)
                ):  # fmt: skip
                    return
        raise ValueError(
            f'no anchor lies inside an image of {image} with allowed_border={border}: '
            'set allowed_border=-1 in the train_cfg of the head, or smaller anchors'
        )

    def __reduce__(self) -> tuple:
        return type(self), (self.generator,)


class KeepsAnchors(Base):
    """Goes before a class of mmdet's `AnchorHead` in the bases of a head."""

    # of mmdet's head
    prior_generator: AnchorGenerator
    train_cfg: ConfigDict

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._anchors = AnchorCache(self.prior_generator)

    def _anchors_of(self, maps: Sequence[Tensor], metas: Sequence[dict]) -> tuple[Tensor, Tensor]:
        """Of maps of the head: [N, 4], and which of them are to be trained in each image: [B, N] bool."""
        sizes, device = sizes_of(maps), maps[0].device
        inside = self._anchors.inside(sizes, device, metas, self.train_cfg['allowed_border'])
        return self._anchors.boxes(sizes, device), inside

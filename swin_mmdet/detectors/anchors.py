"""The anchors of a batch, kept for the sizes of maps that come again, and heads that have them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from mmdet.models.task_modules.prior_generators import AnchorGenerator, anchor_inside_flags
from mmengine.config import ConfigDict
from torch import Tensor

from swin_mmdet.detectors.maps import sizes_of
from swin_mmdet.ops.tracing import remembered

if TYPE_CHECKING:
    from mmdet.models.dense_heads import AnchorHead as Base
else:
    Base = object

Sizes = Sequence[tuple[int, int]]
# multi-scale training comes with hundreds of sizes: the last that were used are kept, some megabytes each
MAX_KEPT = 16
MAX_FLAGS_KEPT = 128


class AnchorCache:
    """Anchors of a generator for maps of `sizes`, level after level. Copies (`deepcopy`, pickle) start with none."""

    def __init__(self, generator: AnchorGenerator) -> None:
        self.generator = generator
        self._boxes = remembered(MAX_KEPT)(self._make_boxes)
        self._inside = remembered(MAX_FLAGS_KEPT)(self._make_inside)

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
        flags = []
        for meta in metas:
            padded, image = (tuple(meta[name][:2]) for name in ('pad_shape', 'img_shape'))
            # where those beyond the border count, images of all sizes in one padding share their flags
            flags.append(self._inside(tuple(sizes), device, border, padded, image if border >= 0 else padded))
        return torch.stack(flags)

    def _make_inside(
        self, sizes: Sizes, device: torch.device, border: int, padded: tuple[int, int], image: tuple[int, int]
    ) -> Tensor:
        valid = torch.cat(self.generator.valid_flags(sizes, padded, device))
        inside = anchor_inside_flags(self.boxes(sizes, device), valid, image, border)
        # any image has some where those beyond its border count
        if border >= 0 and not inside.any():
            raise ValueError(
                f'no anchor lies inside an image of {image} with allowed_border={border}: '
                'set allowed_border=-1 in the train_cfg of the head, or smaller anchors'
            )
        return inside

    def __reduce__(self) -> tuple:
        return AnchorCache, (self.generator,)


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

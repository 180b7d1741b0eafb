"""The anchors of a batch, kept for the sizes of maps that come again, and heads that have them."""

from collections.abc import Sequence

import torch
from mmdet.models.task_modules.prior_generators import AnchorGenerator, anchor_inside_flags
from torch import Tensor

from swin_mmdet.detectors.maps import sizes_of

Sizes = Sequence[tuple[int, int]]
# multi-scale training comes with hundreds of sizes: the last that were used are kept, some megabytes each
MOST_KEPT = 16
MOST_FLAGS_KEPT = 128


class AnchorCache:
    """Anchors of a generator for maps of `sizes`, level after level."""

    def __init__(self, generator: AnchorGenerator) -> None:
        self.generator = generator
        self._boxes: dict[tuple, Tensor] = {}
        self._inside: dict[tuple, Tensor] = {}

    def boxes(self, sizes: Sizes, device: torch.device) -> Tensor:
        """[N, 4] float32."""

        def make() -> Tensor:
            return torch.cat(self.generator.grid_priors(sizes, device=device))

        return _recall(self._boxes, (tuple(sizes), device), make, MOST_KEPT)

    def inside(self, sizes: Sizes, device: torch.device, metas: Sequence[dict], border: int) -> Tensor:
        """Which of them the images have: [B, N] bool, by `pad_shape`, and `img_shape` where `border` is not negative.

        Raises:
            ValueError: an image without any.
        """
        return torch.stack([self._inside_one(sizes, device, meta, border) for meta in metas])

    def _inside_one(self, sizes: Sizes, device: torch.device, meta: dict, border: int) -> Tensor:
        def make() -> Tensor:
            valid = torch.cat(self.generator.valid_flags(sizes, meta['pad_shape'], device))
            inside = anchor_inside_flags(self.boxes(sizes, device), valid, meta['img_shape'][:2], border)
            # any image has some where those beyond its border count
            if border >= 0 and not inside.any():
                raise ValueError(
                    f'no anchor lies inside an image of {meta["img_shape"][:2]} with allowed_border={border}: '
                    'set allowed_border=-1 in the train_cfg of the head, or smaller anchors'
                )
            return inside

        shapes = [tuple(meta['pad_shape'][:2])]
        if border >= 0:
            shapes.append(tuple(meta['img_shape'][:2]))
        return _recall(self._inside, (tuple(sizes), device, border, *shapes), make, MOST_FLAGS_KEPT)


class KeepsAnchors:
    """Goes before a class of mmdet's `AnchorHead` in the bases of a head."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._anchors = AnchorCache(self.prior_generator)

    def _anchors_of(self, maps: Sequence[Tensor], metas: Sequence[dict]) -> tuple[Tensor, Tensor]:
        """Of maps of the head: [N, 4], and which of them are to be trained in each image: [B, N] bool."""
        sizes, device = sizes_of(maps), maps[0].device
        inside = self._anchors.inside(sizes, device, metas, self.train_cfg['allowed_border'])
        return self._anchors.boxes(sizes, device), inside


def _recall(kept: dict[tuple, Tensor], key: tuple, make, most: int) -> Tensor:
    """What is kept under `key`, made where it is not; what was not used for longest makes room."""
    if key not in kept:
        while len(kept) >= most:
            del kept[next(iter(kept))]
        # made under inference it could not be used in training
        with torch.inference_mode(False), torch.no_grad():
            kept[key] = make()
    kept[key] = kept.pop(key)
    return kept[key]

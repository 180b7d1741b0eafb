"""The instances of Mask2Former as a program."""

import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from torch import Tensor, nn

from swin_mmdet.detectors import Mask2FormerHead, MaskFormerFusionHead
from swin_mmdet.export.fixed_number import NOTHING, results, take
from swin_mmdet.export.program import Program

# masks of an image's size that are looked at together: their memory
AT_ONCE = 10


class MaskQueries(Program):
    """`mask_logits` are [B, M, H / 4, W / 4] of the padded image: positive where the object is, once they have grown.

    Scores are of masks in the pixels of `images`, where mmdet's are of those of the original image.
    """

    names = 'boxes', 'scores', 'labels', 'mask_logits'

    @staticmethod
    def rules(model: nn.Module) -> ConfigDict:
        return model.panoptic_fusion_head.test_cfg

    @classmethod
    def why_not(cls, model: nn.Module) -> str | None:
        head, fusion = model.panoptic_head, model.panoptic_fusion_head
        for part, ours in ((head, Mask2FormerHead), (fusion, MaskFormerFusionHead)):
            if not isinstance(part, ours):
                return f'{type(part).__name__} is of {type(part).__module__}; --drop-in makes it one of this project'
        if not fusion.test_cfg.get('instance_on', False):
            return 'it finds segments of a panoptic map (instance_on=False), and instances alone are exported'
        return None

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        head, fusion = self.model.panoptic_head, self.model.panoptic_fusion_head
        logits, masks = (one.float() for one in head.predict_small(self.maps(images, sizes)))
        scores = logits.softmax(-1)[..., :-1]
        classes = scores.shape[-1]
        scores, place = scores.flatten(1).topk(fusion.test_cfg.get('max_per_image', 100))
        query = place // classes
        labels = place - query * classes
        own = masks.gather(1, query[..., None, None].expand(-1, -1, *masks.shape[2:]))
        found = [_measure(part, images, sizes) for part in own.split(AT_ONCE, 1)]
        sure, boxes = (torch.cat(part, 1) for part in zip(*found, strict=True))
        scores = torch.where(labels < fusion.num_things_classes, scores * sure, NOTHING)
        scores = torch.where(scores >= fusion.test_cfg.get('score_thr', 0.0), scores, NOTHING)
        scores, order = scores.sort(1, descending=True)
        own = own.gather(1, order[..., None, None].expand(-1, -1, *own.shape[2:]))
        return *results(take(boxes, order), scores, labels.gather(1, order)), own


def _measure(masks: Tensor, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Of logits [B, n, h, w] how likely their positive pixels are [B, n], and boxes around these [B, n, 4]."""
    height, width = images.shape[2:]
    masks = F.interpolate(masks, (height, width), mode='bilinear', align_corners=False)
    row, column = torch.arange(height, device=masks.device), torch.arange(width, device=masks.device)
    inside = (row < sizes[:, :1])[:, :, None] & (column < sizes[:, 1:])[:, None]
    bits = (masks > 0) & inside[:, None]
    sure = torch.where(bits, masks.sigmoid(), 0.0).flatten(2).sum(2) / (bits.flatten(2).sum(2) + 1e-6)
    ends = []
    for axis, place in ((2, column), (3, row)):
        there = bits.any(axis)
        first = torch.where(there, place, place.shape[0]).amin(2)
        last = torch.where(there, place + 1, 0).amax(2)
        ends.append((torch.minimum(first, last), last))
    (x1, x2), (y1, y2) = ends
    return sure, torch.stack([x1, y1, x2, y2], -1).float()

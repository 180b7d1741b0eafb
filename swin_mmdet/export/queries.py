"""DINO and Deformable DETR as programs."""

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from swin_mmdet.detectors import DINO, DeformableDETR
from swin_mmdet.detectors.maps import sizes_of
from swin_mmdet.export.fixed_number import NOTHING, results, take
from swin_mmdet.export.program import DIVISOR, LEAST, Program
from swin_mmdet.ops.box_deltas import clip_boxes
from swin_mmdet.ops.box_overlaps import corners_of
from swin_mmdet.ops.pyramid import Pyramid

OURS = DINO.__name__, DeformableDETR.__name__


class Queries(Program):
    """Padding is masked as in a padded batch."""

    @staticmethod
    def rules(model: nn.Module) -> ConfigDict:
        return model.bbox_head.test_cfg

    @classmethod
    def why_not(cls, model: nn.Module) -> str | None:
        if not isinstance(model, DINO | DeformableDETR):
            remedy = '; --drop-in makes it one of this project' if type(model).__name__ in OURS else ''
            return f'{type(model).__name__} is of {type(model).__module__}, and has no program{remedy}'
        return None if model.bbox_head.loss_cls.use_sigmoid else 'it classifies without sigmoid'

    @classmethod
    def least(cls, model: nn.Module) -> int:
        """That of a square with as many places as there are queries to choose."""
        first = 4 * 2 ** model.backbone.out_indices[0]
        side, wanted = LEAST, model.num_queries if model.as_two_stage else 0
        while sum((-(-side // (first * 2**level))) ** 2 for level in range(len(model.level_embed))) < wanted:
            side += DIVISOR
        return side

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        model = self.model
        maps = self.maps(images, sizes)
        pyramid = Pyramid(sizes_of(maps), _filled(maps, images, sizes))
        encoder, decoder = model.inputs_of(maps, pyramid)
        queries, _ = model.pre_decoder(**model.forward_encoder(**encoder))
        found = model.forward_decoder(**decoder | queries)
        logits, boxes = model.bbox_head(found['hidden_states'], found['references'])
        cfg, classes = model.bbox_head.test_cfg, model.bbox_head.num_classes
        scores, place = logits[-1].float().sigmoid().flatten(1).topk(cfg.get('max_per_img', model.num_queries))
        query = place // classes
        sides = sizes.flip(1).repeat(1, 2)[:, None]
        boxes = clip_boxes(corners_of(take(boxes[-1].float(), query)) * sides, sizes)
        scores = torch.where(scores >= cfg.get('score_thr', 0.0), scores, NOTHING)
        return results(boxes, scores, place - query * classes)


def _filled(maps: tuple[Tensor, ...], images: Tensor, sizes: Tensor) -> Tensor:
    """Of each map's columns and rows those whose nearest pixel is in the image: [B, L, 2] float32."""
    levels = []
    for one in maps:
        axes = []
        for axis in (1, 0):
            padded, length = images.shape[2 + axis], one.shape[2 + axis]
            pixel = torch.arange(length, device=images.device) * padded // length
            axes.append((pixel < sizes[:, axis, None]).sum(1))
        levels.append(torch.stack(axes, -1))
    return torch.stack(levels, 1).float()

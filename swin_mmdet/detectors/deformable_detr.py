"""mmdet's Deformable DETR (arXiv 2010.04159), which reaches its losses without synchronising with the GPU."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmdet.models.detectors import DeformableDETR as MMDetDeformableDETR
from mmdet.structures import SampleList
from torch import Tensor, nn

from swin_mmdet.detectors.box_branches import box_change
from swin_mmdet.detectors.deformable_transformer import (
    DeformableDetrTransformerDecoder,
    DeformableDetrTransformerEncoder,
)
from swin_mmdet.detectors.maps import flatten_maps, sizes_of
from swin_mmdet.ops.pyramid import (
    Pyramid,
    SineSettings,
    padding,
    proposals,
    sine_rows_and_columns,
)
from swin_mmdet.registry import MODELS

if TYPE_CHECKING:
    from mmdet.models.detectors import DeformableDETR as Base
else:
    Base = object


class DeformableTransformer(Base):
    """Goes before mmdet's `DeformableDETR`, or a class of it, in the bases of a detector."""

    # of mmdet's detector; encoder and decoder are their settings at first
    encoder: Any
    decoder: Any
    positional_encoding: nn.Module
    level_embed: nn.Parameter
    memory_trans_fc: nn.Module
    memory_trans_norm: nn.Module

    def _without_checkpoints(self) -> tuple[dict, dict]:
        """The settings of encoder and decoder; mmdet's encoder, which ours takes the place of, asks for fairscale."""
        encoder, self.encoder = self.encoder, {**self.encoder, 'num_cp': 0}
        return encoder, self.decoder

    def pre_transformer(self, mlvl_feats: Sequence[Tensor], batch_data_samples: SampleList) -> tuple[dict, dict]:
        """What the encoder and what the decoder takes, besides what comes before each."""
        shapes = [sample.img_shape[:2] for sample in batch_data_samples]
        pyramid = pyramid_of(sizes_of(mlvl_feats), batch_data_samples[0].batch_input_shape, shapes)
        return self.inputs_of(mlvl_feats, pyramid)

    def inputs_of(self, mlvl_feats: Sequence[Tensor], pyramid: Pyramid) -> tuple[dict, dict]:
        """The same of maps and what images fill of them."""
        device, channels = mlvl_feats[0].device, mlvl_feats[0].shape[1]
        mask = padding(pyramid, device)
        encoder = {
            'feat': flatten_maps(mlvl_feats, channels),
            'feat_mask': mask,
            'feat_pos': self._positions(pyramid, device),
            'pyramid': pyramid,
        }
        return encoder, {'memory_mask': mask, 'pyramid': pyramid}

    def _positions(self, pyramid: Pyramid, device: torch.device) -> Tensor:
        """Each pixel's sine encoding, with that of its level: [B, N, C], where B is 1 if no image is padded."""
        coding = self.positional_encoding
        settings = SineSettings(*(getattr(coding, name) for name in SineSettings._fields))
        rows, columns = sine_rows_and_columns(pyramid, settings, device)
        heights, widths = zip(*pyramid.sizes, strict=True)
        encodings = []
        for row, column, level in zip(rows.split(heights, 1), columns.split(widths, 1), self.level_embed, strict=True):
            first, last = level.split(coding.num_feats)
            row, column = (row + first)[:, :, None], (column + last)[:, None]
            shape = row.shape[0], row.shape[1], column.shape[2], -1
            encodings.append(torch.cat([row.expand(shape), column.expand(shape)], -1).flatten(1, 2))
        return torch.cat(encodings, 1)

    def forward_encoder(self, feat: Tensor, feat_mask: Tensor | None, feat_pos: Tensor, pyramid: Pyramid) -> dict:
        """What `pre_decoder` takes."""
        memory = self.encoder(query=feat, query_pos=feat_pos, key_padding_mask=feat_mask, pyramid=pyramid)
        return {'memory': memory, 'pyramid': pyramid}

    def _normed(self, memory: Tensor) -> Tensor:
        """What proposals are made of: [..., C] -> [..., C]."""
        return self.memory_trans_norm(self.memory_trans_fc(memory))


@MODELS.register_module()
class DeformableDETR(DeformableTransformer, MMDetDeformableDETR):
    """mmdet's `DeformableDETR`: same parameters, arguments and results. Boxes are float32 also under autocast."""

    def _init_layers(self) -> None:
        encoder, decoder = self._without_checkpoints()
        super()._init_layers()
        self.encoder = DeformableDetrTransformerEncoder(**encoder)
        self.decoder = DeformableDetrTransformerDecoder(**decoder)

    def pre_decoder(self, memory: Tensor, pyramid: Pyramid) -> tuple[dict, dict]:
        """What the decoder and what the head takes; memory [B, N, C]."""
        batch, pixels, channels = memory.shape
        if not self.as_two_stage:
            position, query = self.query_embedding.weight.expand(batch, -1, -1).split(channels, 2)
            references = box_change(self.reference_points_fc, position).sigmoid()
            head_inputs = {'enc_outputs_class': None, 'enc_outputs_coord': None}
        else:
            check_enough(pixels, self.num_queries, pyramid)
            boxes, nothing = proposals(pyramid, memory.device)
            own = self._normed(memory.masked_fill(nothing[..., None], 0))
            branch = self.decoder.num_layers
            scores = self.bbox_head.cls_branches[branch](own)
            boxes = box_change(self.bbox_head.reg_branches[branch], own) + boxes
            best = scores[..., 0].topk(self.num_queries, 1).indices
            chosen = boxes.detach().gather(1, best[..., None].expand(-1, -1, 4))
            references = chosen.sigmoid()
            position, query = self.pos_trans_norm(self.pos_trans_fc(self.get_proposal_pos_embed(chosen))).split(
                channels, 2
            )
            head_inputs = {'enc_outputs_class': scores, 'enc_outputs_coord': boxes.sigmoid()}
        decoder = {'query': query, 'query_pos': position, 'memory': memory, 'reference_points': references}
        return decoder, head_inputs if self.training else {}

    def forward_decoder(
        self,
        query: Tensor,
        query_pos: Tensor,
        memory: Tensor,
        memory_mask: Tensor | None,
        reference_points: Tensor,
        pyramid: Pyramid,
    ) -> dict:
        """What the head takes: `hidden_states` [S, B, Q, C], and references before and after each layer."""
        states, references = self.decoder(
            query=query,
            query_pos=query_pos,
            value=memory,
            key_padding_mask=memory_mask,
            reference_points=reference_points,
            pyramid=pyramid,
            reg_branches=self.bbox_head.reg_branches if self.with_box_refine else None,
        )
        return {'hidden_states': states, 'references': [reference_points, *references]}


def check_enough(pixels: int, queries: int, pyramid: Pyramid) -> None:
    """Of which queries are chosen.

    Raises:
        ValueError: there are fewer of them.
    """
    if pixels < queries:
        sizes = ', '.join(f'{height}x{width}' for height, width in pyramid.sizes)
        raise ValueError(
            f'num_queries={queries} are to be chosen of {pixels} pixels, in maps of {sizes}: '
            'use larger images or fewer queries'
        )


def pyramid_of(
    sizes: Sequence[tuple[int, int]], padded: tuple[int, int], shapes: Sequence[tuple[int, int]]
) -> Pyramid:
    """Of images of `shapes` that were padded to one size: how much of maps of `sizes` each fills, as mmdet has it."""
    filled = tuple(
        tuple(tuple(_filled(*axis) for axis in zip(size, padded, shape, strict=True)) for size in sizes)
        for shape in shapes
    )
    return Pyramid(tuple((height, width) for height, width in sizes), filled)


def _filled(length: int, padded: int, filled: int) -> int:
    """How many of a map's pixels along a side have their nearest of the padded image within the image itself."""
    scale = np.float32(padded) / np.float32(length)
    return int((np.floor(np.arange(length, dtype=np.float32) * scale) < filled).sum())

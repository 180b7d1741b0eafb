"""mmdet's DINO (arXiv 2203.03605), which reaches its losses without synchronising with the GPU."""

import torch
from mmdet.models.detectors import DINO as MMDetDINO
from mmdet.structures import OptSampleList
from torch import Tensor

from swin_mmdet.detectors.box_branches import box_change
from swin_mmdet.detectors.deformable_detr import DeformableTransformer, check_enough
from swin_mmdet.detectors.deformable_transformer import DeformableDetrTransformerEncoder, DinoTransformerDecoder
from swin_mmdet.detectors.denoising import CdnQueryGenerator
from swin_mmdet.ops.autocast import without_cache
from swin_mmdet.ops.pyramid import Pyramid, proposals
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class DINO(DeformableTransformer, MMDetDINO):
    """mmdet's `DINO`: same parameters, arguments and results. Boxes are float32 also under autocast.

    Of the encoder's pixels only those that become queries are kept for the gradient, as only they have one.
    """

    def __init__(self, *args, dn_cfg: dict | None = None, **kwargs) -> None:
        super().__init__(*args, dn_cfg=dn_cfg, **kwargs)
        self.dn_query_generator = CdnQueryGenerator(**(dn_cfg or {}))

    def _init_layers(self) -> None:
        encoder, decoder = self._without_checkpoints()
        super()._init_layers()
        self.encoder = DeformableDetrTransformerEncoder(**encoder)
        self.decoder = DinoTransformerDecoder(**decoder)

    def pre_decoder(
        self,
        memory: Tensor,
        pyramid: Pyramid,
        batch_data_samples: OptSampleList = None,
        text: tuple[Tensor, ...] = (),
    ) -> tuple[dict, dict]:
        """What the decoder and what the head takes; memory [B, N, C], `text` what the branches of classes take too."""
        batch, pixels, channels = memory.shape
        check_enough(pixels, self.num_queries, pyramid)
        head, branch = self.bbox_head, self.decoder.num_layers
        boxes, nothing = (one.expand(batch, *one.shape[1:]) for one in proposals(pyramid, memory.device))
        with torch.no_grad(), without_cache(memory.device.type):
            every = self._normed(memory.masked_fill(nothing[..., None], 0))
            best = head.cls_branches[branch](every, *text).amax(-1).topk(self.num_queries, 1).indices[..., None]
        own = memory.gather(1, best.expand(-1, -1, channels)).masked_fill(nothing[..., None].gather(1, best), 0)
        own = self._normed(own)
        boxes = box_change(head.reg_branches[branch], own) + boxes.gather(1, best.expand(-1, -1, 4))
        head_inputs = {'enc_outputs_class': head.cls_branches[branch](own, *text), 'enc_outputs_coord': boxes.sigmoid()}
        references = boxes.detach()
        query, mask = self.query_embedding.weight.expand(batch, -1, -1), None
        if self.training:
            labels, noisy, mask, head_inputs['dn_meta'] = self.dn_query_generator(batch_data_samples)
            query, references = torch.cat([labels, query], 1), torch.cat([noisy, references], 1)
        decoder = {'query': query, 'memory': memory, 'reference_points': references.sigmoid(), 'dn_mask': mask}
        return decoder, head_inputs if self.training else {}

    def forward_decoder(
        self,
        query: Tensor,
        memory: Tensor,
        memory_mask: Tensor | None,
        reference_points: Tensor,
        pyramid: Pyramid,
        dn_mask: Tensor | None = None,
        **text: Tensor,
    ) -> dict:
        """What the head takes: `hidden_states` [S, B, Q, C], and references before and after each layer."""
        states, references = self.decoder(
            query=query,
            value=memory,
            key_padding_mask=memory_mask,
            self_attn_mask=dn_mask,
            reference_points=reference_points,
            pyramid=pyramid,
            reg_branches=self.bbox_head.reg_branches,
            **text,
        )
        return {'hidden_states': states, 'references': list(references)}

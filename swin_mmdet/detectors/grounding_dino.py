"""mmdet's Grounding DINO (arXiv 2303.05499), which asks a GPU nothing on the way to its losses."""

from itertools import islice

import torch
from mmdet.models.detectors import GroundingDINO as MMDetGroundingDINO
from mmdet.models.layers.transformer.grounding_dino_layers import (
    GroundingDinoTransformerDecoder as MMDetGroundingDinoTransformerDecoder,
)
from mmdet.models.layers.transformer.grounding_dino_layers import (
    GroundingDinoTransformerDecoderLayer as MMDetGroundingDinoTransformerDecoderLayer,
)
from mmdet.models.layers.transformer.grounding_dino_layers import (
    GroundingDinoTransformerEncoder as MMDetGroundingDinoTransformerEncoder,
)
from mmdet.models.layers.transformer.utils import get_text_sine_pos_embed
from mmdet.structures import OptSampleList, SampleList
from mmengine.model import ModuleList
from torch import Tensor

from swin_mmdet.detectors.deformable_attention import MultiScaleDeformableAttention
from swin_mmdet.detectors.deformable_transformer import (
    DeformableDetrTransformerEncoderLayer,
    DinoTransformerDecoder,
    run_layer,
)
from swin_mmdet.detectors.dino import DINO
from swin_mmdet.detectors.multihead_attention import MultiheadAttention
from swin_mmdet.ops.pyramid import Pyramid, reference_points
from swin_mmdet.registry import MODELS

# numbers of a token's position in its phrase
POSITION_FEATURES = 256


class GroundingDinoTransformerEncoder(MMDetGroundingDinoTransformerEncoder):
    """mmdet's, of the same parameters and arguments; the activations of `num_cp` layers are recomputed by PyTorch."""

    num_cp: int

    def _init_layers(self) -> None:
        checkpointed, self.num_cp = self.num_cp, 0
        super()._init_layers()
        self.num_cp = checkpointed
        self.layers = ModuleList(
            [DeformableDetrTransformerEncoderLayer(**self.layer_cfg) for _ in range(self.num_layers)]
        )

    def forward(
        self,
        query: Tensor,
        query_pos: Tensor,
        key_padding_mask: Tensor | None,
        pyramid: Pyramid,
        memory_text: Tensor,
        text_attention_mask: Tensor,
        text_self_attention_masks: Tensor,
        position_ids: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Places of the pyramid [B, N, C] and tokens of a text [B, T, C] -> the same, each having looked at the other.

        `text_attention_mask` [B, T] names tokens that are none, `text_self_attention_masks` [B, T, T] which look at
        which; `position_ids` [B, T] count within a phrase.
        """
        positions = get_text_sine_pos_embed(position_ids[..., None], num_pos_feats=POSITION_FEATURES, exchange_xy=False)
        references = reference_points(pyramid, query.device)
        heads = self.text_layers[0].self_attn_cfg.num_heads
        hidden = ~text_self_attention_masks.repeat(heads, 1, 1)
        for number, (layer, text_layer, fusion) in enumerate(
            zip(self.layers, self.text_layers, self.fusion_layers, strict=True)
        ):
            recomputes = number < self.num_cp
            query, memory_text = run_layer(
                recomputes, fusion, query, memory_text, key_padding_mask, text_attention_mask
            )
            memory_text = text_layer(
                query=memory_text, query_pos=positions, attn_mask=hidden, key_padding_mask=None
            )
            query = run_layer(
                recomputes, layer, query, query_pos, key_padding_mask, pyramid=pyramid, reference_points=references
            )
        return query, memory_text


class GroundingDinoTransformerDecoderLayer(MMDetGroundingDinoTransformerDecoderLayer):
    """mmdet's, of the same parameters."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.self_attn = MultiheadAttention(**self.self_attn_cfg)
        self.cross_attn = MultiScaleDeformableAttention(**self.cross_attn_cfg)


class GroundingDinoTransformerDecoder(DinoTransformerDecoder, MMDetGroundingDinoTransformerDecoder):
    """mmdet's, of the same parameters and arguments; what is said of the text goes to each layer."""

    def _init_layers(self) -> None:
        MMDetGroundingDinoTransformerDecoder._init_layers(self)
        self.layers = ModuleList(
            [GroundingDinoTransformerDecoderLayer(**self.layer_cfg) for _ in range(self.num_layers)]
        )


@MODELS.register_module()
class GroundingDINO(DINO, MMDetGroundingDINO):
    """mmdet's `GroundingDINO`: same parameters, arguments and results. Boxes are float32 also under autocast.

    Where all images of a batch have one text, as those of a data set of classes, what its names are is worked out on
    the host, and labels stay where they are.
    """

    # the last text that was trained on and the last that was asked for, and what was read in each
    _read: tuple | None = None
    _asked: tuple | None = None

    def _init_layers(self) -> None:
        encoder, decoder = self._without_checkpoints()
        MMDetGroundingDINO._init_layers(self)
        self.encoder = GroundingDinoTransformerEncoder(**encoder)
        self.decoder = GroundingDinoTransformerDecoder(**decoder)

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """mmdet's losses, for images with `text` in their samples."""
        texts = {sample.text for sample in batch_data_samples}
        if len(texts) > 1 or 'tokens_positive' in batch_data_samples[0]:
            return super().loss(batch_inputs, batch_data_samples)
        caption, tokens = self._names(texts.pop(), batch_inputs.device)
        text = self.language_model([caption] * len(batch_data_samples))
        text['embedded'] = self.text_feat_map(text['embedded'])
        for sample, mask in zip(batch_data_samples, text['text_token_mask'], strict=True):
            labels = sample.gt_instances.labels
            sample.gt_instances.positive_maps = tokens[labels]
            sample.gt_instances.text_token_mask = mask.expand(len(labels), -1)
        head_inputs = self.forward_transformer(self.extract_feat(batch_inputs), text, batch_data_samples)
        return self.bbox_head.loss(**head_inputs, batch_data_samples=batch_data_samples)

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Samples with `pred_instances`, whose `label_names` are words of the text.

        For images with one text the host reads it once, and synchronises with a GPU once, for the names of all labels;
        mmdet does for each detection.
        """
        first = batch_data_samples[0]
        texts = {sample.text if isinstance(sample.text, str) else tuple(sample.text) for sample in batch_data_samples}
        own = any(key in sample for sample in batch_data_samples for key in ('tokens_positive', 'caption_prompt'))
        if own or len(texts) > 1 or self.test_cfg.get('chunked_size', -1) > 0:
            return super().predict(batch_inputs, batch_data_samples, rescale)
        key = texts.pop(), first.get('custom_entities', False)
        if self._asked is None or self._asked[0] != key:
            self._asked = key, self.get_tokens_positive_and_prompts(*key)
        words, caption, _, names = self._asked[1]
        text = self.language_model([caption] * len(batch_data_samples))
        text['embedded'] = self.text_feat_map(text['embedded'])
        for sample in batch_data_samples:
            sample.token_positive_map = words
        head_inputs = self.forward_transformer(self.extract_feat(batch_inputs), text, batch_data_samples)
        found = self.bbox_head.predict(**head_inputs, rescale=rescale, batch_data_samples=batch_data_samples)
        labels = iter(torch.cat([instances.labels for instances in found]).tolist())
        for sample, instances in zip(batch_data_samples, found, strict=True):
            # named entities of a sentence may be fewer than its phrases
            own_names = [names[label] if label < len(names) else 'unobject' for label in islice(labels, len(instances))]
            if own_names:
                instances.label_names = own_names
            sample.pred_instances = instances
        return batch_data_samples

    def _names(self, text: str | tuple[str, ...], device: torch.device) -> tuple[str, Tensor]:
        """The caption of a text, and which tokens each of its names has: [names, T] float32."""
        if self._read is None or self._read[0] != (text, device):
            tokenized, caption, tokens_positive, _ = self.get_tokens_and_prompts(text, True)
            _, tokens = self.get_positive_map(tokenized, tokens_positive)
            self._read = (text, device), (caption, tokens.to(device).bool().float())
        return self._read[1]

    def forward_encoder(  # type: ignore[override]  # mmdet's detector calls it with the text
        self, feat: Tensor, feat_mask: Tensor | None, feat_pos: Tensor, pyramid: Pyramid, text_dict: dict
    ) -> dict:
        """What `pre_decoder` takes."""
        mask = text_dict['text_token_mask']
        memory, memory_text = self.encoder(
            query=feat,
            query_pos=feat_pos,
            key_padding_mask=feat_mask,
            pyramid=pyramid,
            memory_text=text_dict['embedded'],
            text_attention_mask=~mask,
            text_self_attention_masks=text_dict['masks'],
            position_ids=text_dict['position_ids'],
        )
        return {'memory': memory, 'pyramid': pyramid, 'memory_text': memory_text, 'text_token_mask': mask}

    def pre_decoder(  # type: ignore[override]
        self,
        memory: Tensor,
        pyramid: Pyramid,
        memory_text: Tensor,
        text_token_mask: Tensor,
        batch_data_samples: OptSampleList = None,
    ) -> tuple[dict, dict]:
        """What the decoder and what the head takes; memory [B, N, C], text [B, T, C] and which tokens there are."""
        decoder, head = super().pre_decoder(memory, pyramid, batch_data_samples, (memory_text, text_token_mask))
        decoder |= {'memory_text': memory_text, 'text_attention_mask': ~text_token_mask}
        return decoder, head | {'memory_text': memory_text, 'text_token_mask': text_token_mask}

"""The language model of Grounding DINO and GLIP on transformers 5."""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache

import torch
from mmdet.models.language_models import BertModel as MMDetBertModel
from mmdet.models.language_models.bert import generate_masks_with_special_tokens_and_transfer_map
from torch import Tensor, nn

from swin_mmdet.ops.autocast import without_cache
from swin_mmdet.registry import MODELS

# of the texts that were read last; a data set's names are one text
KEPT = 64


@MODELS.register_module()
class BertModel(MMDetBertModel):
    """mmdet's `BertModel`, which was written for transformers 4: same arguments and values.

    Version 5 has no `batch_encode_plus`, whose work a call of the tokenizer does, and takes masks of pairs of words as
    [B, 1, N, N] instead of [B, N, N]. What follows from a text alone (numbers of its tokens, masks, positions) is made
    on the host and kept: mmdet asks a GPU for each phrase of each image where it ends.

    Raises:
        OSError: the name is neither a folder nor on the hub, or there is no network; transformers' message says it.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not hasattr(self.tokenizer, 'batch_encode_plus'):
            self.tokenizer.batch_encode_plus = self.tokenizer.__call__
            self.language_backbone.body.model.register_forward_pre_hook(_masks_with_heads, with_kwargs=True)
        self._read = lru_cache(maxsize=KEPT)(self._tokenize)

    def forward(self, captions: Sequence[str], **_kwargs) -> dict[str, Tensor]:
        """`embedded`, `hidden` [B, N, C] and `masks` of B texts of N tokens at most.

        With phrases by themselves also `position_ids` [B, N] int64 and `text_token_mask` [B, N] bool.
        """
        device = next(self.language_backbone.parameters()).device
        read = {
            name: None if x is None else (x.pin_memory() if device.type == 'cuda' else x).to(device, non_blocking=True)
            for name, x in self._read(tuple(captions)).items()
        }
        padding = read.pop('padding')
        assert padding is not None
        # each weight is used once: kept in low precision they would only take memory
        with nullcontext() if torch.is_grad_enabled() else without_cache(device.type):
            found = self.language_backbone(read)
        if self.use_sub_sentence_represent:
            found |= {'position_ids': read['position_ids'], 'text_token_mask': padding.bool()}
        return found

    def _tokenize(self, captions: tuple[str, ...]) -> dict[str, Tensor | None]:
        """On the host: what BERT takes, and which tokens there are."""
        tokens = self.tokenizer(
            list(captions),
            max_length=self.max_tokens,
            padding='max_length' if self.pad_to_max else 'longest',
            return_special_tokens_mask=True,
            return_tensors='pt',
            truncation=True,
        )
        mask, positions, types = tokens['attention_mask'], None, None
        if self.use_sub_sentence_represent:
            mask, positions = generate_masks_with_special_tokens_and_transfer_map(tokens, self.special_tokens)
            types = tokens['token_type_ids']
        return {
            'input_ids': tokens['input_ids'],
            'attention_mask': mask,
            'position_ids': positions,
            'token_type_ids': types,
            'padding': tokens['attention_mask'],
        }


def _masks_with_heads(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    mask = kwargs.get('attention_mask')
    if mask is not None and mask.dim() == 3:
        kwargs = kwargs | {'attention_mask': mask[:, None]}
    return args, kwargs

"""The language model of Grounding DINO and GLIP on transformers 5."""

from mmdet.models.language_models import BertModel as MMDetBertModel
from torch import nn

from swin_mmdet.registry import MODELS


@MODELS.register_module()
class BertModel(MMDetBertModel):
    """mmdet's `BertModel`, which was written for transformers 4: same arguments and values.

    Version 5 has no `batch_encode_plus`, whose work a call of the tokenizer does, and takes masks of pairs of words as
    [B, 1, N, N] instead of [B, N, N]. On version 4 nothing changes.

    Raises:
        OSError: the name is neither a folder nor on the hub, or there is no network; transformers' message says it.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not hasattr(self.tokenizer, 'batch_encode_plus'):
            self.tokenizer.batch_encode_plus = self.tokenizer.__call__
            self.language_backbone.body.model.register_forward_pre_hook(_masks_with_heads, with_kwargs=True)


def _masks_with_heads(_module: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    mask = kwargs.get('attention_mask')
    if mask is not None and mask.dim() == 3:
        kwargs = kwargs | {'attention_mask': mask[:, None]}
    return args, kwargs

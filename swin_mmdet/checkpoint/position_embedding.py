"""Absolute position embeddings: a map in detectors, a list of tokens in classifiers."""

import math

from torch import Tensor


def to_map(embedding: Tensor) -> Tensor:
    """[1, N, C] of a square image -> [1, C, H, W]; a leading class token, which transformers reserves, is left out.

    A map stays as it is. `ValueError` for any other shape.
    """
    if embedding.dim() == 4:
        return embedding
    if embedding.dim() != 3:
        raise ValueError('expected [1, tokens, channels]')
    side = math.isqrt(embedding.shape[1])
    extra = embedding.shape[1] - side**2
    if extra not in (0, 1):
        raise ValueError(f'{embedding.shape[1]} tokens are no square')
    return embedding[:, extra:].transpose(1, 2).unflatten(2, (side, side)).contiguous()


def to_tokens(embedding: Tensor) -> Tensor:
    """The inverse: [1, C, H, W] -> [1, H*W, C]."""
    return embedding.flatten(2).transpose(1, 2).contiguous()


AS_TOKENS = (to_map, to_tokens)
# the official detection code has a map, Microsoft's classifiers have tokens: read both, write the map
EITHER = (to_map, lambda embedding: embedding)

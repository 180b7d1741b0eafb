"""What a batch's boxes are to parts that take all images at once: padded to one number, and counted."""

from typing import NamedTuple

from torch import Tensor


class Objects(NamedTuple):
    """The ground truth of B images, at most G objects each; G is one at least.

    Attributes:
        boxes: [B, G, 4] float32.
        labels: [B, G] int64.
        counts: [B] int64.
        tokens: [B, G, T] float32, shares of a text's tokens, where objects have them.
    """

    boxes: Tensor
    labels: Tensor
    counts: Tensor
    tokens: Tensor | None = None

"""How one family of programs names and orders the weights of a Swin backbone, as data read in both directions."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from swin_mmdet.checkpoint.key_template import rename

StateDict = dict[str, Tensor]
Change = Callable[[Tensor], Tensor]
Restructure = Callable[[StateDict], StateDict]

# buffers of every program that any model can compute from its window size, and mask tokens of masked-image training
RECOMPUTED = (r'(^|\.)(relative_position_index|attn_mask|relative_coords_table|k_bias)$', 'recomputed')
MASK_TOKEN = (r'^(embeddings\.)?mask_token$', 'used only in masked-image pre-training')


@dataclass(frozen=True)
class Layout:
    """Names, channel orders and splits of one family, against the canonical layout (see the README).

    Attributes:
        name: of the family.
        anchor: its key of the patch embedding's weight; what stands before it is the backbone's prefix.
        mark: pattern of a key that every file of this family has; with `unless`, pattern of a key that none has, it
            tells the family from all others.
        renames: (canonical template, their template), the first that matches counts, in either direction; keys without
            a match keep their name.
        values: pattern of canonical keys -> (change on reading, change on writing) of the tensor.
        on_read, on_write: what takes several tensors at once, such as joining q, k and v: after the renames on
            reading, before them on writing.
        drops: (pattern of their keys, reason): left out on reading.
        classifier: their key of the classification layer, which stands beside the backbone or further out.
        beside: their key of other parts of the backbone of which the same is true.
    """

    name: str
    anchor: str
    mark: str
    unless: str | None = None
    renames: tuple[tuple[str, str], ...] = ()
    values: Mapping[str, tuple[Change, Change]] = field(default_factory=dict)
    on_read: Restructure | None = None
    on_write: Restructure | None = None
    drops: tuple[tuple[str, str], ...] = (RECOMPUTED, MASK_TOKEN)
    classifier: str = 'head.'
    beside: str | None = None

    def read(self, state_dict: Mapping[str, Tensor]) -> tuple[StateDict, dict[str, str]]:
        """A backbone in this layout under canonical keys, and the keys left out with their reasons.

        Raises:
            ValueError: two keys that mean the same weight, or a tensor whose shape its layout cannot have.
        """
        canonical: StateDict = {}
        origin: dict[str, str] = {}
        dropped: dict[str, str] = {}
        for key, value in state_dict.items():
            reason = next((reason for pattern, reason in self.drops if re.search(pattern, key)), None)
            if reason is not None:
                dropped[key] = reason
                continue
            ours = self.our_key(key)
            if ours in canonical:
                raise ValueError(f'{origin[ours]!r} and {key!r} both mean {ours!r}')
            canonical[ours] = self._changed(ours, value, 0)
            origin[ours] = key
        return (self.on_read(canonical) if self.on_read else canonical), dropped

    def write(self, canonical: Mapping[str, Tensor]) -> StateDict:
        """The inverse of `read`; buffers that were dropped do not come back."""
        split = self.on_write(dict(canonical)) if self.on_write else canonical
        return {self.their_key(key): self._changed(key, value, 1) for key, value in split.items()}

    def our_key(self, key: str) -> str:
        """The canonical name of this family's key."""
        return rename(key, ((theirs, ours) for ours, theirs in self.renames))

    def their_key(self, canonical_key: str) -> str:
        """This family's name of a canonical key."""
        return rename(canonical_key, self.renames)

    def _changed(self, canonical_key: str, value: Tensor, direction: int) -> Tensor:
        for pattern, changes in self.values.items():
            if re.search(pattern, canonical_key):
                try:
                    return changes[direction](value)
                except (RuntimeError, ValueError, IndexError) as error:
                    raise ValueError(
                        f'{canonical_key!r} has the shape {list(value.shape)}, which no {self.name} file has ({error})'
                    ) from error
        return value

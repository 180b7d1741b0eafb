"""One pass over a state dict: drop what is recomputed or foreign to a backbone, rename keys, change values."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

StateDict = dict[str, Tensor]


@dataclass(frozen=True)
class Translation:
    """From the keys of one source to the canonical layout, as data.

    Attributes:
        drops: (pattern, reason): keys that are left out on purpose.
        renames: (pattern, replacement), applied in order to every key that stays.
        values: canonical key pattern -> function on the tensor.
    """

    drops: tuple[tuple[str, str], ...] = ()
    renames: tuple[tuple[str, str], ...] = ()
    values: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)

    def apply(self, state_dict: Mapping[str, Tensor]) -> tuple[StateDict, dict[str, str]]:
        """The canonical state dict, and the dropped keys with their reasons."""
        canonical: StateDict = {}
        dropped: dict[str, str] = {}
        for key, value in state_dict.items():
            reason = next((reason for pattern, reason in self.drops if re.search(pattern, key)), None)
            if reason is not None:
                dropped[key] = reason
                continue
            new_key = key
            for pattern, replacement in self.renames:
                new_key = re.sub(pattern, replacement, new_key)
            for pattern, change in self.values.items():
                if re.search(pattern, new_key):
                    value = change(value)
            assert new_key not in canonical, f'{key} and another key both became {new_key}'
            canonical[new_key] = value
        return canonical, dropped

"""Changes of a config that say what they changed."""

from typing import Any


class Changes(list[str]):
    """Texts such as 'train_cfg.max_epochs 12 -> 24', in the order in which the values were set."""

    def set(self, node: dict, field: str, value: Any, label: str) -> None:
        """Set `node[field]`; nothing is noted where it had this value. `label` is what the user knows it by."""
        old = node.get(field)
        if not same(old, value):
            node[field] = value
            self.append(f'{label} {shown(old)} -> {shown(value)}')


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal; lists and tuples of the same items are."""
    as_list = [list(value) if isinstance(value, list | tuple) else value for value in (one, other)]
    return as_list[0] == as_list[1]


def shown(value: Any) -> str:
    """A value of a config in a line for the user."""
    if isinstance(value, list | tuple):
        return ', '.join(shown(one) for one in value) or 'none'
    if isinstance(value, float):
        return f'{value:.4g}'
    return 'none' if value is None else str(value)

"""The parts of a detector that costs are told for, and which of them is at work."""

from collections.abc import Iterator

from torch import Tensor, nn

# told part by part, as are the modules of a list
CONTAINERS = ('backbone', 'roi_head')
OTHER = 'other'


def parts_of(model: nn.Module) -> dict[str, nn.Module]:
    """Name -> module: stages of the backbone, neck, each head; parts without parameters are left out."""
    found = {}
    for name, child in _opened(model, ''):
        if name in CONTAINERS:
            found |= dict(_opened(child, f'{name}.'))
        else:
            found[name] = child
    return {name: part for name, part in found.items() if any(True for _ in part.parameters())}


def _opened(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from _opened(child, f'{prefix}{name}.')
        else:
            yield prefix + name, child


class PartTracker:
    """`current` is the name of the part whose forward runs, the innermost one; hooks live inside `with`."""

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        self.parts = parts
        self._running: list[str] = []
        self._hooks: list = []

    @property
    def current(self) -> str:
        return self._running[-1] if self._running else OTHER

    def __enter__(self) -> 'PartTracker':
        for name, part in self.parts.items():
            self._hooks.append(part.register_forward_pre_hook(self._entering(name), prepend=True))
            self._hooks.append(part.register_forward_hook(self._leave, always_call=True))
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._running.clear()

    def _entering(self, name: str):
        def enter(part: nn.Module, args: tuple) -> None:
            del part, args
            self._running.append(name)

        return enter

    def _leave(self, part: nn.Module, args: tuple, out: Tensor) -> None:
        del part, args, out
        self._running.pop()

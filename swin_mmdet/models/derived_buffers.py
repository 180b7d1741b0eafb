"""Buffers that a module's arguments decide: outside the state dict, and never without their values."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from torch.nn import Module as Base
else:
    Base = object


class DerivedBuffers(Base):
    """Goes before `nn.Module` in the bases of a class that registers such buffers.

    Memory without values (the meta device, `to_empty`) is filled again as soon as it is memory: no file would do it.
    """

    def derived_buffers(self) -> dict[str, Tensor]:
        """The buffers by name, from the attributes of the module alone."""
        return {}

    def register_derived_buffers(self) -> None:
        """Called once, at the end of a constructor."""
        for name, value in self.derived_buffers().items():
            self.register_buffer(name, value, persistent=False)
        self.register_load_state_dict_post_hook(_leave_the_meta_device)

    def fill_derived_buffers(self) -> None:
        """Compute them again, where they are."""
        with torch.device('cpu'), torch.no_grad():
            for name, value in self.derived_buffers().items():
                self._buffers[name].copy_(value)

    def _apply(self, fn: Callable, recurse: bool = True) -> nn.Module:
        had_no_values = any(x is not None and x.is_meta for x in self._buffers.values())
        super()._apply(fn, recurse)
        if had_no_values or _empties(fn):
            self.fill_derived_buffers()
        return self


def _empties(fn: Callable) -> bool:
    """Whether it is what `nn.Module.to_empty` applies to every tensor."""
    return getattr(fn, '__qualname__', '').startswith('Module.to_empty.')


def _leave_the_meta_device(module: DerivedBuffers, _keys: object) -> None:
    """After `load_state_dict`, which with `assign=True` brings the parameters from the meta device to another."""
    if not any(x is not None and x.is_meta for x in module._buffers.values()):
        return
    # a preprocessor has none
    device = next((x.device for x in module.parameters()), torch.device('cpu'))
    for name in module.derived_buffers():
        module._buffers[name] = torch.empty_like(module._buffers[name], device=device)
    module.fill_derived_buffers()

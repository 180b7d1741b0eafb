"""A model's identity: whether its modules, weights and settings still are those that something was recorded of."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from swin_mmdet.models.plain import COMPILED, HOOKS, REPLACED, has_global_hooks

# what decides how a module runs, besides its type
SETTINGS = (
    *('p', 'eps', 'approximate', 'attn_backend', 'attn_drop_rate', 'window_size', 'shift_size', 'with_cp'),
    'drop_path_rate',
)


class WatchedModel:
    """A model in flat lists, so that every step can ask in microseconds whether a recording still stands for it."""

    def __init__(self, model: nn.Module) -> None:
        self._modules = list(model.modules())
        # dictionaries, because attributes of a module are slow
        own = [module.__dict__ for module in self._modules]
        self._own = own
        self._classes: list[type[nn.Module]] = list(dict.fromkeys(map(type, self._modules)))
        self._tensors = [one[name] for one in own for name in ('_parameters', '_buffers')]
        self._children = [one['_modules'] for one in own]
        # what is at the model itself runs outside of what is recorded
        self._hooks = [one[name] for one in own[1:] for name in HOOKS]
        self._settings = [(one, name) for one in own for name in SETTINGS if name in one]
        self.parameters = [x for one in own for x in one['_parameters'].values() if x is not None]
        self.identity = self._identity()

    def _identity(self) -> list:
        tensors = [x for one in self._tensors for x in one.values() if x is not None]
        return [
            [x.data_ptr() for x in tensors],
            [id(x) for x in tensors],
            [id(child) for one in self._children for child in one.values()],
            [one[name] for one, name in self._settings],
            list(map(type, self._modules)),
            [cls.forward for cls in self._classes],
            self.is_touched(),
        ]

    def is_touched(self) -> bool:
        """Whether somebody watches the modules, or has replaced what one does."""
        return (
            any(self._hooks)
            or has_global_hooks()
            or any(REPLACED in one or COMPILED in one for one in self._own[1:])
        )

    def is_of(self, model: nn.Module) -> bool:
        """Whether this model's modules, tensors and settings are what they were when the lists were made."""
        return model is self._modules[0] and self._identity() == self.identity

    def trained(self) -> list[Tensor]:
        return [parameter for parameter in self.parameters if parameter.requires_grad]

    @contextmanager
    def stand_ins(self) -> Iterator[list[Tensor]]:
        """The modules read leaves that share the trained parameters' memory: they are what this returns.

        The nodes of autograd that take a parameter's own gradients belong to the stream of its last use, which is that
        of the caller, as long as anybody keeps a loss: a recording may not wait for it.
        """
        originals = [
            (own, name, x)
            for own in self._tensors
            for name, x in own.items()
            if isinstance(x, nn.Parameter) and x.requires_grad
        ]
        leaves = []
        try:
            for own, name, x in originals:
                own[name] = leaf = x.detach().requires_grad_()
                leaves.append(leaf)
            yield leaves
        finally:
            for own, name, x in originals:
                own[name] = x

    def flags(self) -> tuple[bool, ...]:
        """What may change from one kind of step to another: training or not, of modules and of parameters."""
        return tuple([one['training'] for one in self._own] + [x.requires_grad for x in self.parameters])

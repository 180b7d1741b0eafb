"""What a model is set to besides its weights: numbers and words that decide what a step does."""

from collections.abc import Iterator

from mmengine.config import ConfigDict
from torch import nn

PLAIN = (bool, int, float, str, type(None))
# mmdet's assigners, samplers, coders and the like, which are no modules
TASKS = 'task_modules'


class Settings:
    """Of all modules of a model, of their `train_cfg` and `test_cfg`, and of the objects with which they assign boxes.

    Some hooks change them in the middle of a training, or put others in their place.
    """

    def __init__(self, model: nn.Module) -> None:
        seen: set[int] = set()
        self._places = [place for module in model.modules() for place in _places(module.__dict__, seen)]
        self._values = self._read()
        # an object that is gone would leave its identity to another
        self._kept = [dict.get(where, name) for where, name in self._places]

    def _read(self) -> list[object]:
        # of mmengine's dictionaries too, whose own way copies what it returns
        values = (dict.get(where, name) for where, name in self._places)
        return [value if isinstance(value, PLAIN) else _identity(value) for value in values]

    def are_the_same(self) -> bool:
        return self._read() == self._values


def _identity(value: object) -> object:
    return [id(one) for one in value] if isinstance(value, (list, tuple)) else id(value)


def _places(where: dict, seen: set[int]) -> Iterator[tuple[dict, str]]:
    # a sampler refers to itself
    if id(where) in seen:
        return
    seen.add(id(where))
    for name, value in dict.items(where):
        if isinstance(value, PLAIN):
            # of those with an underscore a step itself changes some
            if not str(name).startswith('_'):
                yield where, name
            continue
        inside = [one for one in (value if isinstance(value, (list, tuple)) else [value]) if _decides(one)]
        if inside:
            yield where, name
        for one in inside:
            yield from _places(one if isinstance(one, ConfigDict) else one.__dict__, seen)


def _decides(value: object) -> bool:
    return isinstance(value, ConfigDict) or TASKS in type(value).__module__

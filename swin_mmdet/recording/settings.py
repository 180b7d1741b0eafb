"""What a model is set to besides its weights: numbers and words that decide what a step does."""

from collections.abc import Iterator

from mmengine.config import ConfigDict
from torch import nn

PLAIN = (bool, int, float, str, type(None))
# mmdet's assigners, samplers, coders and the like, which are no modules
TASKS = 'task_modules'


class Settings:
    """Of all modules of a model, of their `train_cfg` and `test_cfg`, and of the objects with which they assign boxes.

    Some hooks change them in the middle of a training.
    """

    def __init__(self, model: nn.Module) -> None:
        seen: set[int] = set()
        self._places = [place for module in model.modules() for place in _places(module.__dict__, seen)]
        self._values = self._read()

    def _read(self) -> list[object]:
        # of mmengine's dictionaries too, whose own way copies what it returns
        return [dict.get(where, name) for where, name in self._places]

    def are_the_same(self) -> bool:
        return self._read() == self._values


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
        else:
            for one in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(one, ConfigDict):
                    yield from _places(one, seen)
                elif TASKS in type(one).__module__:
                    yield from _places(one.__dict__, seen)

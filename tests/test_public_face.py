"""What each room exports: named in `__all__`, of that room, described; and nothing else beside its files."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

import swin_mmdet
import swin_mmdet.compat

PACKAGES = sorted(one.name for one in pkgutil.walk_packages(swin_mmdet.__path__, 'swin_mmdet.') if one.ispkg)
# programs, what they alone need, and patches, which nobody calls from Python, and folders whose files are imported by
# their names
NO_FACE = {
    'swin_mmdet.commands',
    'swin_mmdet.compat',
    'swin_mmdet.compat.mmcv_ops',
    'swin_mmdet.datasets.checks',
    'swin_mmdet.datasets.repair',
    'swin_mmdet.maintenance',
}
every_room = pytest.mark.parametrize('name', [name for name in PACKAGES if name not in NO_FACE])
NAMED = re.compile(r'^ {4}([*\w][\w, *]*):', re.MULTILINE)


def faces(name: str) -> Iterator[tuple[str, type | Callable]]:
    """The functions and classes that a room exports; its tables are described in their files."""
    room = importlib.import_module(name)
    every = ((one, getattr(room, one)) for one in room.__all__)
    return ((one, thing) for one, thing in every if inspect.isclass(thing) or inspect.isfunction(thing))


def named_under(title: str, docstring: str) -> set[str]:
    """The names that a docstring of Google's style describes under `title`."""
    found = re.search(rf'^{title}:\n((?: +.*\n|\n)*)', docstring + '\n', re.MULTILINE)
    every = NAMED.findall(found[1]) if found else ()
    return {one.strip(' *') for text in every for one in text.split(',')}


def described(thing: type | Callable) -> str:
    return inspect.cleandoc(thing.__doc__ or '')


@every_room
def test_a_room_exports_its_own_things_and_describes_each(name: str):
    top = '.'.join(name.split('.')[:2])
    assert list(faces(name))
    for one, thing in faces(name):
        assert thing.__module__.startswith(top + '.'), f'{one} is of {thing.__module__}'
        assert not thing.__name__.startswith('_')
        # Python makes up a docstring for a dataclass or NamedTuple without words
        assert described(thing), f'{one} has no docstring'
        assert not described(thing).startswith(f'{thing.__name__}('), f'{one} has no docstring'


@every_room
def test_every_other_name_of_a_room_is_a_module_of_the_package(name: str):
    room = importlib.import_module(name)
    others = {key: value for key, value in vars(room).items() if not key.startswith('_') and key not in room.__all__}
    for key, value in others.items():
        assert isinstance(value, ModuleType), f'{key} is reachable and not exported'
        assert value.__name__.split('.')[0] == 'swin_mmdet', f'{key} is reachable and not exported'


@every_room
def test_docstrings_name_arguments_and_attributes_that_there_are(name: str):
    wrong = []
    for one, thing in faces(name):
        bases = inspect.getmro(thing)[:-1] if inspect.isclass(thing) else ()
        calls = [base.__init__ for base in bases] or [thing]
        arguments = {parameter for call in calls for parameter in inspect.signature(call).parameters}
        fields = {field for base in bases for field in (*vars(base).get('__annotations__', ()), *vars(base))}
        texts = [inspect.getsource(base) for base in bases if base.__module__.startswith('swin_mmdet')]
        wrong += [f'{one} has no {each}' for each in named_under('Args', described(thing)) - arguments - fields]
        wrong += [
            f'{one} has no {each}'
            for each in named_under('Attributes', described(thing)) - fields
            if not any(f'self.{each}' in text for text in texts)
        ]
    assert not wrong


def test_names_are_read_out_of_docstrings():
    arguments = 'Args:\n    one: of a kind,\n        at: length\n    two, three: more\n    *rest: others\n'
    text = f'Words.\n\n{arguments}\nRaises:\n    E: x'
    assert named_under('Args', text) == {'one', 'two', 'three', 'rest'}
    assert named_under('Raises', text) == {'E'}
    assert named_under('Attributes', text) == set()

"""What a class takes, against what Python says when it is called."""

# ruff: noqa: ARG002  what a constructor does with its arguments is beside the point

import functools
import inspect

import pytest
from torch import nn

from swin_mmdet.config.arguments import accepted_arguments


class Base:
    def __init__(self, size, depth=1):
        self.size, self.depth = size, depth


class HandsOn(Base):
    def __init__(self, color=None, **kwargs):
        super().__init__(**kwargs)


class Reads(Base):
    def __init__(self, **options):
        options.setdefault('size', 1)
        if 'extra' in options:
            self.extra = options.pop('extra')
        super().__init__(**options)


class Keeps(Base):
    def __init__(self, **kwargs):
        super().__init__(1)
        self.kwargs = kwargs


class Swallows(Base):
    def __init__(self, **kwargs):
        super().__init__(1)


class Middle(Base):
    def __init__(self, middle=0, **kwargs):
        super().__init__(**kwargs)


class LeavesOut(Middle):
    def __init__(self, top=0, **kwargs):
        super(Middle, self).__init__(**kwargs)


class NamesParent(Middle):
    def __init__(self, top=0, **kwargs):
        Base.__init__(self, **kwargs)


class Module(nn.Module):
    def __init__(self, width=1, **kwargs):
        super().__init__(**kwargs)
        self.width = width


def renames(names):
    def decorate(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            return function(*args, **{names.get(name, name): value for name, value in kwargs.items()})

        return call

    return decorate


class Deprecates:
    @renames({'dropout': 'drop_rate'})
    def __init__(self, drop_rate=0.0):
        self.drop_rate = drop_rate


NAMES = ('size', 'depth', 'color', 'extra', 'middle', 'top', 'width', 'dropout', 'drop_rate', 'unknown')


@pytest.mark.parametrize('kind', [Base, HandsOn, Reads, LeavesOut, NamesParent, Module, Deprecates, inspect.cleandoc])
def test_names_are_those_that_a_call_accepts(kind):
    accepted = accepted_arguments(kind)
    needed = {'doc': ''} if not isinstance(kind, type) else {'size': 1} if issubclass(kind, Base) else {}
    for name in NAMES:
        try:
            kind(**needed | {name: 1})
        except TypeError:
            assert name not in accepted
        else:
            assert name in accepted


@pytest.mark.parametrize('kind', [Keeps, Swallows, max, dict, functools.partial(Keeps)])
def test_what_takes_anything_or_cannot_be_read_is_believed(kind):
    assert accepted_arguments(kind) is None

"""Pickles that run nothing: arrays of numbers out of a plain pickle, and what a PyTorch pickle names and claims.

A pickle is a program that may call whatever it can name. Here a name stands for an entry of a table, never for an
import. The C unpickler allocates what a length in the file claims, or a memo as long as the largest index; the one in
Python, which PyTorch's `weights_only` resembles, allocates what it has read.
"""

import io
import math
import pickle
import re
import struct
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np


class Unreadable(ValueError):
    """What is wrong with a file and what to do about it, as the end of a sentence about the file."""


class Inert:
    """An object of another program: takes any arguments, state and items, and does nothing with them."""

    def __init__(self, *args, **kwargs) -> None:
        pass

    def __new__(cls, *args, **kwargs) -> 'Inert':  # noqa: ARG004
        return super().__new__(cls)

    def __call__(self, *args, **kwargs) -> 'Inert':  # noqa: ARG002
        return self

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """As list and deque."""

    extend = add = append


class InertDict:
    """Stands for subclasses of dict. Makes OrderedDicts: PyTorch lets a pickle put items into its own classes only."""

    def __new__(cls, *args, **kwargs) -> OrderedDict:  # noqa: ARG004
        return OrderedDict(args[0] if args and isinstance(args[0], Mapping) else {})


def path_text(*parts: str) -> str:
    """What a path becomes, wherever it was one: 'C:/data/coco'."""
    return re.sub(r'[/\\]+', '/', '/'.join(map(str, parts)))


class NumberType:
    """A numpy dtype in a pickle, if it is one of numbers: no objects, no records, no changes to numpy's own."""

    def __init__(self, code: str, *_) -> None:
        if not re.fullmatch(r'[fiu][1248]|b1|c8|c16', code):
            raise pickle.UnpicklingError(f'an array of {code!r}, not of numbers')
        self.dtype = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in ('<', '>'):
            self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray(np.ndarray):
    """An array in a pickle: empty until its state comes, then a view of the pickle's bytes."""

    def __new__(cls, *_) -> 'PickledArray':
        return super().__new__(cls, (0,), np.uint8)

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran_order, raw = state
        dtype, raw = _dtype(kind), _bytes(raw)
        if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(raw):
            raise pickle.UnpicklingError(f'an array claims shape {shape} of {dtype}, which are not {len(raw)} bytes')
        super().__setstate__((1, shape, dtype, fortran_order, raw))


def _new_array(*_) -> PickledArray:
    return PickledArray()


def _number(kind: NumberType, raw: bytes) -> bool | int | float | complex:
    return np.frombuffer(_bytes(raw), _dtype(kind))[0].item()


def _array_of_buffer(raw: bytes, kind: NumberType, shape: tuple, order: str, axes: tuple = ()) -> np.ndarray:
    array = np.frombuffer(raw, _dtype(kind))
    return array.reshape(shape).transpose(axes) if order == 'K' else array.reshape(shape, order=order)


def _dtype(kind: NumberType | np.dtype) -> np.dtype:
    """Of a stand-in, or of the real thing where another library told PyTorch to trust numpy's dtypes."""
    dtype = kind.dtype if isinstance(kind, NumberType) else np.dtype(kind)
    if dtype.kind not in 'biufc':
        raise pickle.UnpicklingError(f'an array of {dtype}, not of numbers')
    return dtype


def _bytes(raw: bytes | str) -> bytes:
    """Python 2 wrote bytes as text."""
    return raw.encode('latin1') if isinstance(raw, str) else raw


def _latin1(text: str, *_) -> bytes:
    """What `_codecs.encode` is named for: Python 3 writes bytes so for readers in Python 2."""
    return text.encode('latin1')


def _no_bytes() -> bytes:
    return b''


# name in a pickle -> what it stands for; numpy 1 and 2 have their functions in modules of different names
NUMPY = {'numpy.ndarray': PickledArray, 'numpy.dtype': NumberType} | {
    f'numpy.{core}.{name}': function
    for core in ('core', '_core')
    for name, function in {
        'multiarray._reconstruct': _new_array,
        'multiarray.scalar': _number,
        'numeric._frombuffer': _array_of_buffer,
    }.items()
}
CONTAINERS = {
    'collections.OrderedDict': OrderedDict,
    'builtins.set': set,
    'builtins.frozenset': frozenset,
    'builtins.bytes': _no_bytes,
    '_codecs.encode': _latin1,
}

DICTS = (
    'addict.addict.Dict',
    'collections.defaultdict',
    'detectron2.config.config.CfgNode',
    'easydict.EasyDict',
    'fvcore.common.config.CfgNode',
    'lightning.fabric.utilities.data.AttributeDict',
    'lightning_fabric.utilities.data.AttributeDict',
    'mmcv.utils.config.ConfigDict',
    'mmengine.config.config.ConfigDict',
    'pytorch_lightning.utilities.parsing.AttributeDict',
    'yacs.config.CfgNode',
)
OBJECTS = (
    'argparse.Namespace',
    'mmcv.utils.config.Config',
    'mmengine.config.config.Config',
    'types.SimpleNamespace',
    # the message hub and the one-cycle schedule of mmengine, which name methods by getattr
    'builtins.getattr',
    'mmengine.logging.history_buffer.HistoryBuffer',
    'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler',
    # types that a defaultdict or an omegaconf node names
    *(f'builtins.{name}' for name in ('bool', 'dict', 'float', 'int', 'list', 'str', 'tuple')),
    'typing.Any',
    *(f'omegaconf.base.{name}' for name in ('ContainerMetadata', 'Metadata')),
    'omegaconf.dictconfig.DictConfig',
    'omegaconf.listconfig.ListConfig',
    *(f'omegaconf.nodes.{name}Node' for name in ('Any', 'Boolean', 'Float', 'Integer', 'Path', 'String')),
)
PATHS = tuple(
    f'{module}.{name}'
    for module in ('pathlib', 'pathlib._local')
    for name in ('PosixPath', 'PurePosixPath', 'WindowsPath', 'PureWindowsPath')
)
# what a PyTorch checkpoint may hold besides weights: settings and logs of well-known programs, read without them
STAND_INS = {
    **NUMPY,
    **dict.fromkeys(DICTS, InertDict),
    **dict.fromkeys(OBJECTS, Inert),
    **dict.fromkeys(PATHS, path_text),
}


class _Reader:
    """A file that refuses to read more than it holds, before memory is taken for it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.readline = file, file.readline
        start = file.tell()
        self.size = file.seek(0, io.SEEK_END)
        file.seek(start)

    def read(self, size: int) -> bytes:
        # asking for the position costs a system call, which most of a pickle's reads, of a few bytes, can do without
        if size > 1 << 16 and size > self.size - self.file.tell():
            raise EOFError(f'{size} bytes announced, {self.size - self.file.tell()} left')
        data = self.file.read(size)
        if len(data) < size:
            raise EOFError('the file ends inside the pickle')
        return data


class RestrictedUnpickler(pickle._Unpickler):
    """Reads one pickle from a file; afterwards the file stands behind it."""

    buildable = (OrderedDict, NumberType, PickledArray, Inert)  # whose state a pickle may set

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(_Reader(file), encoding='latin1')

    def find_class(self, module: str, name: str) -> object:
        """The entry for a name in our tables.

        Raises:
            Unreadable: a name that is in none.
        """
        full_name = self.full_name(module, name)
        found = NUMPY.get(full_name, CONTAINERS.get(full_name))
        if found is None and full_name.startswith('torch.'):
            raise Unreadable('it holds PyTorch objects in a plain pickle, which protects nobody. Use torch.save')
        if found is None:
            raise Unreadable(refusal(full_name))
        return found

    @staticmethod
    def full_name(module: str, name: str) -> str:
        """As Python 3 calls it: the pickles of PyTorch have the names of Python 2."""
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        return f'{module}.{name}'

    def get_extension(self, code: int) -> None:
        """A number for a name; who uses these shares the table of numbers."""
        raise pickle.UnpicklingError(f'extension {code} is not known here')

    def load_build(self) -> None:
        """Set the state of an object, not of one of our classes or functions, which would last."""
        if not isinstance(self.stack[-2], self.buildable):
            raise pickle.UnpicklingError(f'state for {self.stack[-2]!r:.60}')
        super().load_build()

    def load_bytearray8(self) -> None:
        """The inherited one takes the announced memory before it reads."""
        (size,) = struct.unpack('<Q', self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch = {
        **pickle._Unpickler.dispatch,
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
    }


class _Storage(Inert):
    """Of which a survey knows the number of elements."""

    def __init__(self, count: int) -> None:
        self.count = count


class _Tensor(Inert):
    """Of which a survey knows that its storage can hold it. PyTorch would enlarge the storage first, and then ask."""

    def __init__(self, storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_) -> None:
        last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
        if 0 not in size and last >= storage.count:
            raise pickle.UnpicklingError(f'a tensor of shape {size} needs {last + 1} numbers, it has {storage.count}')


class TorchSurvey(RestrictedUnpickler):
    """Reads a pickle of `torch.save` without making any tensor.

    Attributes, after `load`:
        names: everything that the pickle names.
        claims: storage key -> its size in bytes, according to the pickle.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.names: dict[str, type[Inert]] = {}
        self.claims: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> type[Inert]:
        """A class of that name which does nothing, whatever the name."""
        full_name = self.full_name(module, name)
        kind = _Tensor if full_name in REBUILDING else Inert
        return self.names.setdefault(full_name, type(full_name, (kind,), {}))

    def persistent_load(self, pid: tuple) -> _Storage:
        """Tensors name their storage as ('storage', type, key, device, number of elements), legacy files add a view."""
        _, kind, key, _, count, *_ = pid
        name = kind.__name__.rpartition('.')[2].removesuffix('Storage')
        self.claims[key] = max(self.claims.get(key, 0), count * ITEM_SIZES.get(name, 1))
        return _Storage(count)


REBUILDING = tuple(f'torch._utils._rebuild_{kind}' for kind in ('tensor', 'tensor_v2', 'tensor_v3', 'qtensor'))
# bytes per element of the storage types by name; the others, of one byte, include UntypedStorage, which counts bytes
ITEM_SIZES = {
    'ComplexDouble': 16,
    **dict.fromkeys(('Double', 'Long', 'ComplexFloat'), 8),
    **dict.fromkeys(('Float', 'Int', 'QInt32'), 4),
    **dict.fromkeys(('Half', 'BFloat16', 'Short'), 2),
}


def refusal(name: str) -> str:
    """What to tell about a name that a file needs and that nothing may stand for."""
    return (
        f'it holds objects other than weights, here {name}, which might run anything when it is read. '
        'Save only its state_dict with the program that wrote it'
    )

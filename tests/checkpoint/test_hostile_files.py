"""Files as nobody should make them: cut, changed, malicious, and lying about their sizes."""

import builtins
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from swin_mmdet.checkpoint.files import read_checkpoint
from swin_mmdet.checkpoint.restricted_pickle import NUMPY
from tests.checkpoint.writers import PICKLING, WRITERS, refused, write, write_safetensors, write_torch

ROOT = Path(__file__).resolve().parents[2]
every_kind = pytest.mark.parametrize('kind', WRITERS)


@every_kind
def test_a_file_cut_anywhere_is_one_error(kind, tmp_path):
    whole = write(kind, tmp_path / 'whole').read_bytes()
    cuts = random.Random(0).sample(range(len(whole)), 25)
    for length in [0, 1, 4, 8, 9, *cuts, len(whole) - 1]:
        (tmp_path / 'cut').write_bytes(whole[:length])
        refused(tmp_path / 'cut')


@every_kind
def test_a_file_with_changed_bytes_is_read_or_one_error(kind, tmp_path):
    whole = write(kind, tmp_path / 'whole').read_bytes()
    chance = random.Random(0)
    for _ in range(40):
        changed = bytearray(whole)
        for place in chance.sample(range(len(whole)), chance.randrange(1, 5)):
            changed[place] = chance.randrange(256)
        (tmp_path / 'changed').write_bytes(changed)
        with suppress(ValueError):
            read_checkpoint(tmp_path / 'changed')


class Call:
    """Unpickling calls the function; the function may itself be such an object."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments

    def __call__(self):
        """Pickle wants functions to be callable."""


ATTACKS = {
    'system': lambda canary: Call(os.system, f'touch {canary}'),
    'open': lambda canary: Call(open, canary, 'w'),
    'eval': lambda canary: Call(eval, f'open({canary!r}, "w")'),
    'exec': lambda canary: Call(builtins.exec, f'open({canary!r}, "w")'),
    'popen': lambda canary: Call(subprocess.Popen, ['touch', canary]),
    'getattr': lambda canary: Call(Call(getattr, pathlib.PosixPath, 'touch'), pathlib.PosixPath(canary)),
    'attribute': lambda canary: Call(Call(getattr, Call(getattr, Call(__import__, 'os'), 'path'), 'exists'), canary),
    'numpy': lambda canary: Call(np.load, canary),
    'torch': lambda canary: Call(torch.load, canary),
}


@pytest.mark.parametrize('attack', ATTACKS)
@pytest.mark.parametrize('kind', PICKLING)
@pytest.mark.parametrize('bare', [True, False], ids=['bare', 'patched'])
def test_nothing_in_a_file_is_executed(kind, attack, bare, tmp_path, request):
    canary = tmp_path / 'executed'
    if bare:
        request.getfixturevalue('bare_pytorch')
    refused(write(kind, tmp_path / 'malicious', extra=ATTACKS[attack](str(canary))))
    assert not canary.exists()


def test_a_file_changes_nothing_that_outlives_it(tmp_path):
    """State for a function of ours, which an unpickler sets as readily as an object's."""
    (tmp_path / 'state').write_bytes(b'\x80\x02cnumpy.core.multiarray\n_reconstruct\n}X\x04\x00\x00\x00markK\x01sb.')
    assert 'damaged' in refused(tmp_path / 'state')
    assert not vars(NUMPY['numpy.core.multiarray._reconstruct'])


def test_an_array_has_the_bytes_of_its_shape(tmp_path):
    start = b'\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01'
    end = b'cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R\x89C\x18' + bytes(24) + b'tb.'
    for shape in (b'K\x02K\x04\x86', b'J\xfe\xff\xff\xffJ\xfd\xff\xff\xff\x86'):  # (2, 4) and (-2, -3)
        (tmp_path / 'array').write_bytes(start + shape + end)
        assert 'an array claims shape' in refused(tmp_path / 'array')


class Thing:
    """An object of an unknown program."""


@pytest.mark.parametrize('kind', PICKLING)
def test_an_unknown_object_is_named_with_the_remedy(kind, tmp_path):
    message = refused(write(kind, tmp_path / 'unknown', extra=Thing()))
    assert f'{Thing.__module__}.Thing' in message
    assert 'Save only its state_dict' in message


LIES = {}


def lie(function):
    """Register a maker of bytes that claim far more than they are."""
    LIES[function.__name__] = function
    return function


def replaced(kind, tmp_path, old, new, count=-1):
    content = write(kind, tmp_path / 'honest').read_bytes()
    assert old in content
    return content.replace(old, new, count)


@lie
def safetensors_header_of_ten_gigabytes(tmp_path):
    return struct.pack('<Q', 10**10) + write('safetensors', tmp_path / 'honest').read_bytes()[8:]


@lie
def safetensors_offsets_behind_the_file(_):
    header = b'{"a":{"dtype":"F32","shape":[2500000000],"data_offsets":[0,10000000000]}}'
    return struct.pack('<Q', len(header)) + header + bytes(100)


def torch_zip(tmp_path, change):
    """A file of torch.save with another pickle."""
    path = tmp_path / 'honest'
    torch.save({'a': torch.arange(1000.0), 'b': torch.ones(500)}, path)
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w') as archive:
        for name, data in records.items():
            archive.writestr(name, change(data) if name.endswith('data.pkl') else data)
    return path.read_bytes()


THOUSAND = b'M' + struct.pack('<H', 1000)  # as the pickle writes the size of `a`
BILLIONS = b'J' + struct.pack('<i', 2 * 10**9)


@lie
def storage_larger_than_the_file(tmp_path):
    return torch_zip(tmp_path, lambda data: data.replace(THOUSAND, BILLIONS))


@lie
def storage_larger_than_its_record(tmp_path):
    return torch_zip(tmp_path, lambda data: data.replace(THOUSAND, b'M' + struct.pack('<H', 1400)))


@lie
def tensor_larger_than_its_storage(tmp_path):
    return torch_zip(tmp_path, lambda data: BILLIONS.join(data.rsplit(THOUSAND, 1)))


@lie
def record_of_ten_gigabytes(tmp_path):
    content = bytearray(torch_zip(tmp_path, lambda data: data))
    entry = content.index(b'PK\1\2')  # of the first record, the pickle, in the directory of the archive
    content[entry + 20 : entry + 28] = struct.pack('<II', 2**32 - 2, 2**32 - 2)
    return bytes(content)


@lie
def legacy_storage_of_gigabytes(tmp_path):
    write_torch(tmp_path / 'honest', {'a': torch.arange(1000.0)}, _use_new_zipfile_serialization=False)
    return (tmp_path / 'honest').read_bytes().replace(THOUSAND, BILLIONS)


@lie
def legacy_tensor_of_gigabytes(tmp_path):
    write_torch(tmp_path / 'honest', {'a': torch.arange(1000.0)}, _use_new_zipfile_serialization=False)
    return BILLIONS.join((tmp_path / 'honest').read_bytes().rsplit(THOUSAND, 1))


HUGE = struct.pack('<Q', 10**10)
PICKLES = {
    'bytes': b'\x80\x04\x8e' + HUGE,
    'bytearray': b'\x80\x05\x96' + HUGE,
    'text': b'\x80\x04\x8d' + HUGE,
    'frame': b'\x80\x04\x95' + HUGE,
    'number': b'\x80\x04\x8b' + struct.pack('<i', 2**31 - 1),
    'memo': b'\x80\x04}r' + struct.pack('<I', 2**32 - 1),
    'call': b'\x80\x04cbuiltins\nbytes\n\x8a\x05\x00\xe4\x0bT\x02\x85R',
    'array': b'\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x8a\x05\x00\xe4\x0bT\x02\x85C\x01b\x87R',
    'shape': b'\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01'
    b'\x8a\x05\x00\xe4\x0bT\x02\x85cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R\x89C\x04abcdtb',
}  # fmt: skip
LIES |= {f'pickle_{name}': lambda _, content=content: content + b'.' for name, content in PICKLES.items()}

READ_WITHIN_LIMITS = """
import re, resource, sys
from pathlib import Path
from swin_mmdet.checkpoint.files import read_checkpoint
from swin_mmdet.checkpoint.restricted_pickle import NUMPY

def megabytes(name):
    return int(re.search(name + r':\\s+(\\d+) kB', Path('/proc/self/status').read_text())[1]) // 1024

limit = (megabytes('VmSize') + 1024) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[1:]:
    before = megabytes('VmHWM')
    try:
        read_checkpoint(path)
        outcome = 'read'
    except ValueError as error:
        outcome = str(error)
    print(Path(path).name, megabytes('VmHWM') - before, outcome, sep='|')
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_memory_is_taken_for_what_a_file_holds_not_for_what_it_claims(tmp_path):
    """In a process that may have one more GB of addresses: no lie asks for them; a large file is mapped, not copied."""
    pytest.importorskip('safetensors')
    for name, make in LIES.items():
        (tmp_path / name).write_bytes(make(tmp_path))
    large = {'weight': torch.zeros(25 * 10**6)}
    write_torch(tmp_path / 'large_zip', {'model': large})
    write_safetensors(tmp_path / 'large_safetensors', {'model': large})
    names = [*LIES, 'large_zip', 'large_safetensors']
    command = [sys.executable, '-c', READ_WITHIN_LIMITS, *(str(tmp_path / name) for name in names)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    lines = [line.split('|') for line in result.stdout.splitlines()]
    assert [name for name, _, _ in lines] == names
    for name, megabytes, outcome in lines:
        assert int(megabytes) < 30, f'{name} took {megabytes} MB'
        if name.startswith('large'):
            assert outcome == 'read'
        else:
            assert re.search('cannot be read|holds no weights', outcome), name
            assert not re.search(r'MemoryError|alloc', outcome), outcome


def test_a_list_of_lists_of_one_list_is_no_bomb(tmp_path):
    bomb = ['x']
    for _ in range(100):
        bomb = [bomb] * 100
    loop = []
    loop.append(loop)
    path = write('zip', tmp_path / 'bomb.pth', meta={'bomb': bomb, 'loop': loop, 'seed': 1})
    assert read_checkpoint(path).meta['seed'] == 1

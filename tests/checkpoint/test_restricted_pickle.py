"""The bounds of what a pickle may claim, met exactly and passed by one."""

import io
import pickle

import pytest
import torch

from swin_mmdet.checkpoint.restricted_pickle import RestrictedUnpickler, TorchSurvey


class Storage:
    """As `torch.save` names a storage of floats: its key, device and number of elements."""

    def __init__(self, count):
        self.pid = 'storage', torch.FloatStorage, '0', 'cpu', count


class Rebuilt:
    """A tensor as `torch.save` pickles one: offset, size and stride in a storage."""

    def __init__(self, *claim):
        self.claim = claim

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v2, (*self.claim, False, None)


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Storage) else None


def survey(count, *claim):
    """Of a tensor that claims so much of a storage with `count` elements."""
    file = io.BytesIO()
    Pickler(file, 2).dump(Rebuilt(Storage(count), *claim))
    file.seek(0)
    found = TorchSurvey(file)
    found.load()
    return found


@pytest.mark.parametrize(
    ('offset', 'size', 'stride', 'needed'),
    [
        (0, (7,), (1,), 7),
        (3, (7,), (1,), 10),
        (0, (2, 3), (3, 1), 6),
        (2, (2, 3), (1, 2), 8),
        (0, (5,), (0,), 1),
        (4, (3, 2), (100, 10), 4 + 200 + 10 + 1),
        (6, (), (), 7),
    ],
    ids=str,
)
def test_a_tensor_claims_numbers_up_to_the_last_of_its_storage(offset, size, stride, needed):
    assert torch.arange(needed).as_strided(size, stride, offset).max() == needed - 1
    assert survey(needed, offset, size, stride).claims == {'0': 4 * needed}
    with pytest.raises(pickle.UnpicklingError, match=f'needs {needed} numbers, it has {needed - 1}$'):
        survey(needed - 1, offset, size, stride)


def test_a_tensor_without_numbers_claims_none():
    survey(0, 0, (3, 0), (1, 1))
    survey(0, 50, (0,), (1,))


# lengths around that from which a read asks what is left of the file
@pytest.mark.parametrize('length', [1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 1 << 17])
def test_a_frame_may_end_where_its_file_ends_and_no_byte_later(length):
    content = bytes(range(256)) * (length // 256) + bytes(length % 256)
    inside = b'B' + length.to_bytes(4, 'little') + content + b'.'
    for beyond in (0, 1):
        file = io.BytesIO(b'\x80\x04\x95' + (len(inside) + beyond).to_bytes(8, 'little') + inside)
        if beyond:
            with pytest.raises(EOFError, match=r'announced|ends inside'):
                RestrictedUnpickler(file).load()
        else:
            assert RestrictedUnpickler(file).load() == content
            assert not file.read()

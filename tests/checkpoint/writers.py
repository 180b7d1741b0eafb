"""Files of every kind, written by the library that usually writes them."""

import pickle
from functools import partial
from pathlib import Path

import pytest
import torch

from swin_mmdet.checkpoint.files import read_checkpoint

WEIGHTS = {
    'layers.0.weight': torch.arange(24.0).reshape(2, 3, 4),
    'layers.0.half': torch.ones(5, dtype=torch.float16),
    'layers.0.index': torch.arange(9).reshape(3, 3).T,
    'norm.num_batches_tracked': torch.tensor(7),
}


def write_torch(path, content, **options):
    torch.save(content, path, **options)


def write_safetensors(path, content):
    library = pytest.importorskip('safetensors.torch')
    tensors = {key: value.contiguous() for key, value in content['model'].items()}
    library.save_file(tensors, path, metadata={'epoch': '3'})


def write_pickle(path, content, protocol):
    arrays = {key: value.numpy() for key, value in content['model'].items()}
    Path(path).write_bytes(pickle.dumps(content | {'model': arrays}, protocol))


WRITERS = {
    'zip': write_torch,
    'legacy': partial(write_torch, _use_new_zipfile_serialization=False),
    'safetensors': write_safetensors,
    **{f'pickle{protocol}': partial(write_pickle, protocol=protocol) for protocol in (2, 3, 4, 5)},
}
PICKLING = [kind for kind in WRITERS if kind != 'safetensors']


def write(kind, path, **more):
    """A file with WEIGHTS under 'model', unless its kind has no such thing, and other entries beside."""
    WRITERS[kind](str(path), {'model': WEIGHTS, 'epoch': 3} | more)
    return path


def assert_same(state_dict, expected=WEIGHTS):
    assert sorted(state_dict) == sorted(expected)
    for key, value in expected.items():
        assert state_dict[key].dtype == value.dtype
        assert torch.equal(state_dict[key], value)


def refused(path):
    """The message of the one error that reading a file must end in."""
    with pytest.raises(ValueError, match=f'{path.name}.* cannot be read') as caught:
        read_checkpoint(path)
    return str(caught.value)

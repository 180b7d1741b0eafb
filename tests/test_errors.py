"""The errors that rooms share: one sentence that names its source once."""

import copy
import pickle

import pytest

from swin_mmdet.datasets import DatasetCheckError
from swin_mmdet.datasets.inside_folder import OutsideFolderError
from swin_mmdet.datasets.json_file import CocoFileError
from swin_mmdet.errors import CheckpointError, UserError, naming_checkpoint


def test_a_checkpoint_error_names_its_source_and_survives_a_copy():
    error = CheckpointError('swin.pth', 'it is empty')
    for one in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(one) == 'swin.pth: it is empty'
        assert (one.source, one.reason) == ('swin.pth', 'it is empty')


def test_what_is_raised_inside_is_named_once_even_where_names_contain_each_other():
    with pytest.raises(CheckpointError) as caught, naming_checkpoint('a'), naming_checkpoint('b.pth'):
        raise ValueError('a key of another model')
    assert str(caught.value) == 'b.pth: a key of another model'
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize('error', [FileNotFoundError('gone'), UserError('no config'), RuntimeError('a fault of ours')])
def test_other_errors_pass_unchanged(error: Exception):
    with pytest.raises(type(error)) as caught, naming_checkpoint('swin.pth'):
        raise error
    assert caught.value is error


@pytest.mark.parametrize('kind', [CheckpointError, DatasetCheckError, CocoFileError, OutsideFolderError])
def test_programs_catch_them_all_by_one_name_and_old_code_as_values(kind: type[Exception]):
    assert issubclass(kind, UserError)
    assert issubclass(kind, ValueError)

"""inside_folder: names that stay in a folder are joined to it, names that lead out of it are refused."""

import os

import pytest

from swin_mmdet.datasets.inside_folder import OutsideFolderError, inside_folder, is_inside

INSIDE = [
    'a.jpg',
    'b/a.jpg',
    './a.jpg',
    'b/../a.jpg',
    '..a.jpg',
    'b..c/a.jpg',
    'b\\a.jpg',
    'C:a.jpg',
    ' a.jpg',
    'ä.jpg',
]
OUTSIDE = ['../a.jpg', 'b/../../a.jpg', '/etc/passwd', '..', '..\\a.jpg', 'C:\\a.jpg', 'c:/a.jpg', '\\\\host\\a.jpg',
           'file:///etc/passwd', 's3://bucket/a.jpg', '../data2/a.jpg', 'a\0.jpg']  # fmt: skip


@pytest.mark.parametrize('name', INSIDE)
def test_what_stays_inside_is_joined_as_the_loader_joins_it(name, tmp_path):
    assert str(inside_folder(tmp_path, name)) == os.path.join(tmp_path, name.removeprefix('./'))
    assert is_inside(tmp_path, name)


@pytest.mark.parametrize('name', OUTSIDE)
def test_what_leads_out_is_refused_by_name(name, tmp_path):
    folder = tmp_path / 'data'
    with pytest.raises(OutsideFolderError) as caught:
        inside_folder(folder, name)
    assert repr(name) in str(caught.value)
    assert str(folder) in str(caught.value)
    assert not is_inside(folder, name)


def test_an_absolute_name_within_the_folder_is_inside(tmp_path):
    assert inside_folder(tmp_path, str(tmp_path / 'b/a.jpg')) == tmp_path / 'b/a.jpg'
    assert not is_inside(tmp_path / 'b', str(tmp_path / 'bc/a.jpg'))


def test_a_relative_folder_and_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert inside_folder('data', 'a.jpg') == tmp_path / 'data/a.jpg'
    assert is_inside('.', str(tmp_path / 'a.jpg'))
    assert is_inside('/', '/etc/a.jpg')


def test_links_of_the_user_stay_usable(tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/images').symlink_to(tmp_path / 'elsewhere')
    assert is_inside(tmp_path / 'data', 'images/a.jpg')

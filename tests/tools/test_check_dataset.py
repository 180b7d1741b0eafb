"""tools/check_dataset.py on folders, files and configs."""

import importlib.util
import json
import subprocess
import sys

import pytest


@pytest.fixture
def check(repository, capsys):
    """check(arguments ...) runs the script's main in this process: exit code and what it printed."""
    spec = importlib.util.spec_from_file_location('check_dataset', repository / 'tools/check_dataset.py')
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return lambda *arguments: (script.main([str(argument) for argument in arguments]), capsys.readouterr().out)


def test_help_names_what_can_be_checked(repository):
    command = [sys.executable, str(repository / 'tools/check_dataset.py'), '--help']
    assert 'CONFIG' in subprocess.run(command, capture_output=True, text=True, check=True).stdout.upper()


def test_a_good_folder_is_described(check, shared_data):
    code, text = check(shared_data / 'nuclei')
    assert code == 0
    assert "metainfo=dict(classes=('nucleus',))" in text
    assert '0 problems' in text


def test_a_folder_without_data(check, tmp_path):
    code, text = check(tmp_path)
    assert code == 1
    assert 'Looked for' in text


def test_a_config_that_does_not_fit_its_data(check, shared_data, tmp_path):
    (tmp_path / 'config.py').write_text(f"""
model = dict(type='RetinaNet', bbox_head=dict(type='RetinaHead', num_classes=80))
train_dataloader = dict(dataset=dict(
    type='CocoDataset', data_root={str(shared_data / 'nuclei')!r}, ann_file='annotations/instances_val2017.json',
    data_prefix=dict(img='val2017/'), metainfo=dict(classes=('nucleus',)), pipeline=[]))
""")
    code, text = check(tmp_path / 'config.py')
    assert code == 1
    assert 'model.bbox_head.num_classes=1' in text
    assert check(tmp_path / 'config.py', '--cfg-options', 'model.bbox_head.num_classes=1')[0] == 0


def test_one_annotation_file(check, tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps({'images': [], 'categories': [], 'annotations': []}))
    code, text = check(path)
    assert code == 1
    assert 'lists no images' in text

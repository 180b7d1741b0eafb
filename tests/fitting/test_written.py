"""The written config: reads as the one in memory, names its recipe, and is made for people."""

from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.config import read_config
from swin_mmdet.fitting.setting import Setting, set_by_user
from swin_mmdet.fitting.written import base_name, difference, write_config, written

RECIPE = """
model = dict(
    type='One', head=dict(num_classes=80, loss=dict(type='CE', weight=1.0), old=1), neck=[dict(a=1), dict(b=2)]
)
train_cfg = dict(max_epochs=12, dynamic_intervals=[(1, 2)])
steps = [dict(type='Resize', scale=(1333, 800))]
work_dir = 'elsewhere'
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / 'recipe.py'
    path.write_text(RECIPE)
    return path


def changed(recipe: Path) -> Config:
    cfg = read_config(str(recipe))
    cfg.model.head.num_classes = 3
    cfg.model.head.pop('old')
    cfg.model.neck[0].a = (0.5,)
    cfg.train_cfg.max_epochs = 30
    cfg.train_cfg.pop('dynamic_intervals')
    cfg.train_cfg.options = {'a name': {1: None}, 'class': [], 'of': dict(x='y"z\'')}
    cfg.new = dict(long=['word ' * 10] * 5)
    cfg.work_dir, cfg.launcher = 'mine', 'none'
    return cfg


def test_it_reads_as_what_was_fitted(recipe: Path, tmp_path: Path):
    cfg, path = changed(recipe), tmp_path / 'work/one_fitted.py'
    settings = [Setting('batch', '2', '4', 'it fits', '--batch-size')]
    write_config(path, cfg, recipe, 'one, fitted to my folder.', settings)
    read = read_config(str(path)).to_dict()
    assert {key: value for key, value in read.items() if key != 'work_dir'} == {
        key: value for key, value in cfg.to_dict().items() if key not in ('work_dir', 'launcher')
    }
    text = path.read_text()
    assert text.startswith('"""one, fitted to my folder.\n\n- batch: 2 -> 4: it fits (--batch-size sets it)\n"""\n')
    assert f'_base_ = {str(recipe)!r}' in text
    # only what differs, not the resize
    assert 'steps' not in text
    assert max(map(len, text.splitlines())) <= 120


def test_of_a_python_style_config_all_is_written_as_mmengine_does(tmp_path: Path):
    """A config of texts cannot have it as its base."""
    recipe = tmp_path / 'python_style.py'
    recipe.write_text('from torch.optim import AdamW\n\noptimizer = dict(type=AdamW, lr=0.1)\n')
    cfg = read_config(str(recipe))
    cfg.optimizer.lr = 0.2
    write_config(tmp_path / 'fitted.py', cfg, recipe, 'one', [Setting('lr', '0.1', '0.2', 'so it is')])
    found = read_config(str(tmp_path / 'fitted.py')).optimizer
    assert (found.lr, found.type) == (0.2, 'torch.optim.AdamW')
    assert 'lr: 0.1 -> 0.2: so it is' in (tmp_path / 'fitted.py').read_text()


def test_quotes_in_names_do_not_end_the_docstring(recipe: Path, tmp_path: Path):
    write_config(tmp_path / 'fitted.py', changed(recipe), recipe, 'one', [set_by_user('data', 'a"""b\\', '--data')])
    assert read_config(str(tmp_path / 'fitted.py')).model.head.num_classes == 3


def test_a_base_of_this_project_is_found_wherever_it_is_installed(repository: Path):
    path = repository / 'configs/swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'
    assert base_name(path) == 'swin_mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'
    assert base_name('/somewhere/mine.py') == '/somewhere/mine.py'


def test_a_folder_that_cannot_be_written(recipe: Path, tmp_path: Path, user_error: type[Exception]):
    (tmp_path / 'file').write_text('')
    with pytest.raises(user_error, match='cannot be written'):
        write_config(tmp_path / 'file/fitted.py', changed(recipe), recipe, 'one', [])


def test_difference():
    old = dict(a=1, b=dict(c=1, d=dict(e=1)), f=[1])
    assert difference(old, old) == {}
    assert difference(old, dict(a=2, b=dict(c=1, d=dict(e=2)), f=[1, 2])) == dict(a=2, b=dict(d=dict(e=2)), f=[1, 2])
    assert difference(old, dict(a=1, b=dict(c=1), f=[1])) == dict(b=dict(_delete_=True, c=1))


def test_written_values_are_those_of_python():
    value = dict(a=[(1,), (2.5, None), True], b={'no name': 'x' * 60, 'two': ['y' * 60]})
    assert eval(written(value)) == value
    assert written(dict(a=1, b=(2, 3))) == 'dict(a=1, b=(2, 3))'
    classes = tuple(f'a class {number}' for number in range(80))
    assert eval(written(classes)) == classes
    assert len(written(classes).splitlines()) < 20
    assert max(map(len, written(dict(of=dict(many=classes))).splitlines())) <= 110

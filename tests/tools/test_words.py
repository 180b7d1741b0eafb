"""What a user's mistake makes the tools say: one sentence on stderr, exit code 2, before anything slow."""

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.commands.run import run_cli
from swin_mmdet.engine.language_models import check_language_models
from swin_mmdet.engine.pretrained import check_pretrained, pretrained
from swin_mmdet.errors import UserError
from swin_mmdet.models import SwinTransformer, SwinTransformerV2

SMALL = dict(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
GONE = 'http://127.0.0.1:9/swin_tiny_patch4_window7_224.pth'  # nobody listens there


@pytest.fixture
def refused(capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """refused(tool, arguments ...) -> the one line that it says, or as many as there are slips."""

    def call(tool: str, *arguments: object, slips: int = 1) -> str:
        main = importlib.import_module(f'swin_mmdet.commands.{tool}').main
        with pytest.raises(SystemExit) as end:
            run_cli(lambda: main([str(argument) for argument in arguments]))
        assert end.value.code == 2
        text = capsys.readouterr().err
        assert text.startswith('error: ')
        assert len(text.splitlines()) == slips, text
        return text

    return call


def test_a_misspelled_key_type_or_folder(refused: Callable, config: Path, shapes: Path, tmp_path: Path):
    data = '--data', shapes
    text = refused('train', config, *data, '--cfg-options', 'optim_wraper.optimizer.lr=0.1')
    assert text == 'error: optim_wraper.optimizer.lr: the config has no optim_wraper; did you mean optim_wrapper?\n'
    text = refused('train', config, *data, '--cfg-options', 'train_dataloader.dataset.pipeline.12.scale=(9,9)')
    assert 'is a list, whose entries are counted from 0: 0 LoadImageFromFile, 1 LoadAnnotations, 2 Resize' in text
    path = tmp_path / 'misspelled.py'
    path.write_text(f'_base_ = {str(config)!r}\nmodel = dict(backbone=dict(drop_path=0.2))\n')
    message = 'model.backbone.drop_path: SwinTransformer has no argument drop_path; did you mean drop_path_rate?'
    assert message in refused('train', path, *data)
    assert message in refused('check_dataset', path)
    assert f'did you mean {shapes}?' in refused('train', config, '--data', str(shapes) + 's')


def test_a_misspelled_type_and_a_misspelled_base_are_one_sentence_each(refused: Callable, config: Path, tmp_path: Path):
    text = refused('train', config, '--cfg-options', 'model.backbone.type=SwinTransfomer')
    assert text == 'error: model.backbone.type: no model is called SwinTransfomer; did you mean SwinTransformer?\n'
    path = tmp_path / 'derived.py'
    path.write_text(f'_base_ = {str(config.with_name(config.stem + "s.py"))!r}\n')
    there = f'error: config {path}: there is no {config.with_name(config.stem + "s.py")}, which its _base_ names'
    assert refused('train', path) == f'{there}; did you mean {config}?\n'
    path.write_text("_base_ = 'nowhere.py'\n")
    there = f'error: config {path}: there is no {tmp_path}/nowhere.py, which its _base_ names'
    assert refused('train', path) == f'{there}\n'


def test_several_slips_are_named_at_once(refused: Callable, config: Path, shapes: Path):
    """Keys that cannot be set, an argument that its type has not, and an option that does not fit the config."""
    options = 'optim_wraper.optimizer.lr=0.1', 'param_scheduler.9.end=3', 'model.backbone.drop_path=0.1'
    text = refused('train', config, '--data', shapes, '--cfg-options', *options, slips=3)
    assert 'optim_wraper.optimizer.lr: the config has no optim_wraper; did you mean optim_wrapper?' in text
    assert 'param_scheduler.9.end: param_scheduler is a list' in text
    assert 'model.backbone.drop_path: SwinTransformer has no argument drop_path; did you mean drop_path_rate?' in text
    text = refused('train', config, '--cfg-options', 'optim_wrapper', 'model.neck=[(1]', slips=2)
    assert 'optim_wrapper: give KEY=VALUE' in text
    assert '--cfg-options model.neck=[(1]: ' in text
    text = refused('train', config, '--epoch', '3', '--batchsize=-1', slips=2)
    assert 'no argument --epoch; did you mean --epochs?\nno argument --batchsize; did you mean --batch-size?' in text


def test_a_folder_one_level_too_deep(refused: Callable, config: Path, shapes: Path):
    right = f'but in {shapes}: name that folder'
    assert right in refused('train', config, '--data', shapes / 'annotations')
    assert right in refused('train', config, '--data', shapes / 'train2017')


def test_data_that_is_not_there(refused: Callable, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    text = refused('train', repository / 'configs/swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py')
    assert 'no data (train_dataloader.dataset.data_root) at data/coco/' in text
    assert '`--data FOLDER`' in text
    assert '`--cfg-options data_root=FOLDER`' in text


def test_a_download_that_fails(
    refused: Callable, config: Path, shapes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    key = 'model.backbone.init_cfg.checkpoint'
    text = refused('train', config, '--data', shapes, '--cfg-options', 'model.backbone.init_cfg.type=Pretrained',
                   f'{key}={GONE}')  # fmt: skip
    assert text.startswith(f'error: {key}: ')
    assert GONE in text
    place = tmp_path / 'checkpoints/swin_tiny_patch4_window7_224.pth'
    assert f'save it as {place}' in text
    assert f'--cfg-options {key}=FILE' in text
    assert f'save it as {place}' in refused('test', config, GONE, '--data', shapes)
    # and there it is taken from
    place.parent.mkdir(exist_ok=True)
    torch.save(SwinTransformer(**SMALL).state_dict(), place)
    check_pretrained(Config(dict(model=_with(dict(type='swin_mmdet.SwinTransformer'), GONE))))


def test_a_language_model_that_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    transformers = pytest.importorskip('transformers')

    def fail(name: str) -> None:
        raise OSError(f'no connection for {name}\nand more lines')

    monkeypatch.setattr(transformers.AutoConfig, 'from_pretrained', fail)
    tokens = dict(type='RandomSamplingNegPos', tokenizer_name='bert-x')
    cfg = Config(dict(model=dict(language_model=dict(type='BertModel', name='bert-x')),
                      train_dataloader=dict(dataset=dict(pipeline=[tokens]))))  # fmt: skip
    with pytest.raises(UserError) as error:
        check_language_models(cfg)
    text, keys = str(error.value), ('model.language_model.name', 'train_dataloader.dataset.pipeline.0.tokenizer_name')
    assert text.startswith(f'{keys[0]}: bert-x is no folder, and huggingface.co does not give it (no connection for')
    assert text.endswith(f'--cfg-options {keys[0]}=FOLDER {keys[1]}=FOLDER')
    assert '\n' not in text
    cfg.model.language_model.name = tokens['tokenizer_name'] = str(tmp_path)
    cfg.train_dataloader.dataset.pipeline[0].tokenizer_name = str(tmp_path)
    check_language_models(cfg)


def _with(backbone: dict, checkpoint: object) -> dict:
    return dict(backbone=dict(backbone, init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint))))


def test_weights_of_every_backbone_are_checked(tmp_path: Path):
    one, two, other = tmp_path / 'v1.pth', tmp_path / 'v2.pth', tmp_path / 'resnet.pth'
    torch.save(SwinTransformer(**SMALL).state_dict(), one)
    torch.save(SwinTransformerV2(**SMALL).state_dict(), two)
    torch.save({'conv1.weight': torch.zeros(2, 3, 7, 7)}, other)
    v1, v2 = dict(type='swin_mmdet.SwinTransformer'), dict(type=SwinTransformerV2)
    check_pretrained(Config(dict(model=dict(student=_with(v1, one), teacher=_with(v2, two)))))
    check_pretrained(Config(dict(model=_with(dict(type='ResNet', depth=50), other))))
    for backbone, file, words in (
        (v1, two, 'holds a SwinV2, the model has a SwinV1'),
        (v2, one, 'holds a SwinV1, the model has a SwinV2'),
        (v2, other, 'resnet.pth'),
        (dict(type='SwinTransformer'), other, 'resnet.pth'),
    ):
        cfg = Config(dict(model=dict(student=_with(v1, one), teacher=_with(backbone, file))))
        assert [found.source for found in pretrained(cfg)] == [str(one), str(file)]
        with pytest.raises(UserError, match=rf'^model\.teacher\.backbone\.init_cfg\.checkpoint: .*{words}'):
            check_pretrained(cfg)


def test_images_of_one_annotation_file_are_sought(shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    check = importlib.import_module('swin_mmdet.commands.check_dataset').main
    ann_file = shapes / 'annotations/instances_train2017.json'
    assert check([str(ann_file)]) == 0
    # only one of the four is there
    folder = tmp_path / 'train2017'
    folder.mkdir()
    shutil.copy(ann_file, tmp_path / 'instances_train2017.json')
    capsys.readouterr()
    assert check([str(tmp_path / 'instances_train2017.json')]) == 1
    assert 'are in none of' in (text := capsys.readouterr().out)
    assert '--images FOLDER' in text
    shutil.copy(min((shapes / 'train2017').iterdir()), folder)
    assert check([str(tmp_path / 'instances_train2017.json')]) == 1
    assert '3 of 4 images are not in' in capsys.readouterr().out
    assert check([str(tmp_path / 'instances_train2017.json'), '--images', str(shapes / 'train2017')]) == 0


def test_roboflows_category_above_all_others_is_no_class(shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    for name in ('train2017', 'val2017'):
        coco = json.loads((shapes / f'annotations/instances_{name}.json').read_text())
        for category in coco['categories']:
            category['supercategory'] = 'shapes'
        assert all(category['id'] for category in coco['categories'])
        coco['categories'].insert(0, {'id': 0, 'name': 'shapes', 'supercategory': 'none'})
        (tmp_path / f'{name[:-4]}.json').write_text(json.dumps(coco))
        (tmp_path / name).symlink_to(shapes / name)
    assert importlib.import_module('swin_mmdet.commands.check_dataset').main([str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "classes=('circle', 'square', 'triangle')" in text
    assert '0 warnings' in text

"""`check --html`: batches as the model gets them, images as they are annotated, findings."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmengine.config import Config

from swin_mmdet.commands.check_dataset import main
from swin_mmdet.errors import UserError
from swin_mmdet.report.batches import denormalised, training_batches
from swin_mmdet.report.pictures import Drawn, draw, hatched, short
from tests.report.sample_run import sample_run


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_run(tmp_path_factory.mktemp('run'), ['cat', '<script>alert(1)</script>'])


@pytest.fixture
def cfg(work_dir: Path) -> Config:
    return Config.fromfile(work_dir / 'tiny.py')


def test_batches_are_those_of_a_training(cfg: Config):
    batches = training_batches(cfg, 2)
    assert len(batches) == 2
    for batch in batches:
        assert batch.shape == (2, 3, 96, 128)
        # images of 120 x 120 and 120 x 160 are fitted into 128 x 96
        assert {image.size for image in batch.images} <= {(96, 96), (90, 120), (96, 128)}
        assert {image.flip for image in batch.images} == {'horizontal'}
        assert batch.left_out == 0
    assert [image.name for batch in batches for image in batch.images] == ['000.jpg', '001.jpg', '002.jpg', '003.jpg']


@pytest.mark.parametrize('bgr_to_rgb', [True, False])
def test_normalisation_is_turned_back(cfg: Config, bgr_to_rgb: bool):
    settings = cfg.model.data_preprocessor | dict(bgr_to_rgb=bgr_to_rgb)
    preprocessor = MODELS.build(settings)
    bgr = torch.randint(0, 256, (3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    inputs = preprocessor(dict(inputs=[bgr], data_samples=None), training=True)['inputs']
    pictures = denormalised(inputs, preprocessor, bgr_to_rgb)
    assert (pictures[0] == bgr.flip(0).permute(1, 2, 0).numpy()).all()


def test_padding_is_striped_and_the_image_stays():
    image = np.full((20, 40, 3), 7, np.uint8)
    striped = hatched(image, 15, 30)
    assert (striped[:15, :30] == 7).all()
    assert (striped[15:] != 7).all()
    assert (striped[:, 30:] != 7).all()
    assert len(np.unique(striped[15:].reshape(-1, 3), axis=0)) == 2


def test_what_is_drawn_is_where_its_box_and_mask_are():
    image = np.zeros((400, 400, 3), np.uint8)
    mask = np.zeros((400, 400), bool)
    mask[120:180, 120:180] = True
    picture = draw(image, [Drawn((100, 100, 100, 100), mask, '', (255, 0, 0))])
    assert picture.shape == image.shape
    assert picture[150, 150].tolist() == [89, 0, 0]  # tinted by 0.35
    assert picture[100, 150, 0] > 200
    assert picture[110, 110].tolist() == [0, 0, 0]
    assert draw(np.zeros((2000, 1000, 3), np.uint8), []).shape == (560, 280, 3)
    assert draw(np.zeros((40, 20, 3), np.uint8), []).shape == (384, 192, 3)


@pytest.mark.parametrize(
    'mask', [{'size': [9, 9], 'counts': 'x'}, [[1, 2]], 'nonsense', [[1, 2, 3, float('nan'), 5, 6]]], ids=str
)
def test_masks_that_cannot_be_read_are_left_out_of_the_picture(mask: object):
    draw(np.zeros((40, 40, 3), np.uint8), [Drawn((-5, 10, 1000, 10), mask, 'a', (255, 0, 0))])


def test_very_many_objects_leave_labels_to_those_that_matter(monkeypatch: pytest.MonkeyPatch):
    written = []
    monkeypatch.setattr('swin_mmdet.report.pictures.Labels.add', lambda _, *words: written.append(words[0]))
    image = np.zeros((500, 500, 3), np.uint8)
    few = [Drawn((10, 10, 20, 20), None, 'a', (255, 0, 0))] * 30
    draw(image, few)
    assert written == ['a'] * 30
    written.clear()
    draw(image, [*few, Drawn((10, 10, 20, 20), None, 'b', (255, 0, 0), True)])
    assert written == ['b']
    written.clear()
    # as many of those would hide the picture, whose colours say the same
    draw(image, [Drawn((10, 10, 20, 20), None, 'b', (255, 0, 0), True)] * 31)
    assert written == []


def test_long_names_are_cut():
    assert short('a  b\nc') == 'a b c'
    assert len(short('long ' * 30)) == 24


def test_a_config_that_loads_no_batches(cfg: Config):
    cfg.train_dataloader.dataset.pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize')]
    with pytest.raises(UserError, match='the training batches cannot be made'):
        training_batches(cfg, 1)
    cfg.train_dataloader = None
    with pytest.raises(UserError, match='no train_dataloader'):
        training_batches(cfg, 1)


def test_the_page_of_a_config(work_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / 'check.html'
    assert main([str(work_dir / 'tiny.py'), '--html', str(out), '--quick']) == 0
    assert f'page: {out}' in capsys.readouterr().out
    text = out.read_text()
    assert text.count('<h3>Batch ') == 3
    assert '2 x 3 x 96 x 128' in text
    assert '<script>alert' not in text
    assert 'it has the annotations of train_dataloader.dataset' in text


def test_the_page_of_an_annotation_file(work_dir: Path, tmp_path: Path):
    data, out = work_dir.parent / 'data', tmp_path / 'check.html'
    assert main([str(data / 'truth.json'), '--html', str(out), '--quick']) == 0
    text = out.read_text()
    assert text.count('data:image/jpeg;base64,') == 12
    assert 'The check found nothing wrong' in text
    broken = tmp_path / 'broken.json'
    truth = json.loads((data / 'truth.json').read_text())
    truth['annotations'][0]['bbox'] = ['a', None]
    truth['annotations'][1]['bbox'] = [float('nan')] * 4
    truth['images'][3]['file_name'] = '../../outside.jpg'
    broken.write_text(json.dumps(truth))
    assert main([str(broken), '--html', str(out), '--quick', '--images', str(data / 'images')]) == 1
    text = out.read_text()
    assert 'leads out of the folder' in text
    assert 'class="error"' in text


def test_what_cannot_be_read_has_a_page_too(tmp_path: Path):
    broken, out = tmp_path / 'broken.json', tmp_path / 'check.html'
    broken.write_text('{"images": [')
    assert main([str(broken), '--html', str(out)]) == 1
    assert 'not valid JSON' in out.read_text()
    with pytest.raises(UserError, match='is a folder; name a file in it'):
        main([str(broken), '--html', str(tmp_path)])
    with pytest.raises(UserError, match='it goes with a config'):
        main([str(broken), '--data', str(tmp_path)])

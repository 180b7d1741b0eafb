"""Images that break while a run goes on."""

import logging
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import TRANSFORMS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement, InstanceData
from PIL import Image

from swin_mmdet.engine.console import ForPeople
from swin_mmdet.engine.guards.broken_images import CarefulReading, leaves, read_list, without_detections
from swin_mmdet.engine.guards.broken_images_hook import BrokenImagesHook
from swin_mmdet.errors import UserError

from . import tiny_run

BREAK = {
    'text': lambda path: path.write_text('no number'),
    'empty': lambda path: path.write_text(''),
    'gone': lambda path: path.unlink(),
}
REASONS = {
    'text': "ValueError: could not convert string to float: 'no number'",
    'empty': 'the file is empty',
    'gone': 'the file is gone',
}


@TRANSFORMS.register_module(force=True)
class LoadImageOfText:
    """Reads an image of one number."""

    def __call__(self, results: dict) -> dict:
        value = float(Path(results['img_path']).read_text())
        return dict(results, img=np.full((2, 3, 3), value), img_shape=(2, 3), ori_shape=(2, 3))


@TRANSFORMS.register_module(force=True)
class PackTiny:
    def __call__(self, results: dict) -> dict:
        sample = BaseDataElement(metainfo=dict(img_path=results['img_path']))
        return dict(inputs=torch.tensor(results['img'][0, 0, 0]), data_samples=sample)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / 'images'
    folder.mkdir()
    for index in range(tiny_run.SIZE):
        (folder / f'{index}.jpg').write_text(str(index))
    return folder


def options(images: Path, **hook: object) -> dict:
    return dict(
        train_dataloader__dataset__data_prefix=dict(img_path=str(images)),
        train_dataloader__dataset__pipeline=[dict(type='LoadImageOfText'), dict(type='Jitter')],
        train_dataloader__num_workers=2,
        custom_hooks=[dict(type='WriteLosses'), dict(type='swin_mmdet.StopHook'),
                      dict(type='swin_mmdet.BrokenImagesHook', interval=1, **hook)],
    )  # fmt: skip


def log(runner: Runner) -> str:
    return next(Path(runner.log_dir).glob('*.log')).read_text()


@pytest.mark.parametrize('kind', BREAK)
def test_one_is_left_out_listed_and_another_drawn(kind: str, images: Path, tmp_path: Path):
    broken = images / '7.jpg'
    BREAK[kind](broken)
    runner = tiny_run.train(tmp_path / 'run', **options(images, most=0.1))
    assert read_list(tmp_path / 'run/broken_images.txt') == {str(broken): REASONS[kind]}
    assert f'{broken} cannot be read ({REASONS[kind]}): another image is taken in its place' in log(runner)
    lines = tiny_run.losses(tmp_path / 'run')
    assert len(lines) == 20
    assert not any(' [7,' in line or ', 7]' in line for line in lines)


def test_the_same_one_is_drawn_when_a_run_goes_on(images: Path, tmp_path: Path):
    (images / '7.jpg').write_text('')
    tiny_run.train(tmp_path / 'straight', **options(images, most=0.1))
    source = str(tmp_path / 'straight/iter_5.pth')
    tiny_run.train(tmp_path / 'resumed', resume=True, load_from=source, **options(images, most=0.1))
    assert tiny_run.losses(tmp_path / 'resumed') == tiny_run.losses(tmp_path / 'straight')[5:]


def test_too_many_end_the_run_after_it_was_saved(images: Path, tmp_path: Path):
    for index in range(4):
        (images / f'{index}.jpg').write_text('')
    with pytest.raises(UserError) as error:
        tiny_run.train(tmp_path / 'run', **options(images, most=0.1))
    count = len(read_list(tmp_path / 'run/broken_images.txt'))
    assert count > 2
    assert str(error.value) == (
        f'{count} of 24 images cannot be read, more than 10.00%: {tmp_path}/run/broken_images.txt lists them; mend or '
        'remove them, or allow more (most=... of BrokenImagesHook), and go on with --resume'
    )
    path = Path((tmp_path / 'run/last_checkpoint').read_text())
    iteration = torch.load(path, weights_only=True)['meta']['iter']
    assert iteration == len(tiny_run.losses(tmp_path / 'run')) < 20


def test_a_mistake_of_another_step_is_no_broken_image(images: Path, tmp_path: Path):
    changes = options(images) | dict(train_dataloader__num_workers=0)
    changes['train_dataloader__dataset__pipeline'] = [dict(type='LoadImageOfText')]
    # without the keys that are asked for
    with pytest.raises(TypeError):
        tiny_run.train(tmp_path / 'run', **changes)
    assert not (tmp_path / 'run/broken_images.txt').exists()


def test_an_evaluation_counts_one_as_without_detections(images: Path, tmp_path: Path):
    (images / '3.jpg').write_text('')
    dataset = tiny_run.TinyData(
        data_prefix=dict(img_path=str(images)),
        pipeline=[dict(type='LoadImageOfText'), dict(type='PackTiny')],
        test_mode=True,
    )
    dataset.prepare_data = CarefulReading(dataset, tmp_path / 'list.txt')
    samples = [dataset[index] for index in range(6)]
    assert [float(one['inputs']) for one in samples] == [0, 1, 2, 0, 4, 5]
    samples = [one['data_samples'] for one in samples]
    for one in samples:
        one.pred_instances = InstanceData(scores=torch.ones(4))
    assert without_detections(samples) == [str(images / '3.jpg')]
    assert [len(one.pred_instances) for one in samples] == [4, 4, 4, 0, 4, 4]
    assert read_list(tmp_path / 'list.txt') == {str(images / '3.jpg'): 'the file is empty'}


@pytest.mark.parametrize(('result', 'reason'), [
    (AttributeError("'NoneType' has no shape"), 'no decoder knows what is in it'),
    (OSError('image file\n is truncated'), 'OSError: image file is truncated'), (None, 'nothing could be read'),
], ids=['not an image', 'error', 'nothing'])  # fmt: skip
def test_why_a_file_that_is_there_cannot_be_read(result, reason, images, tmp_path, monkeypatch):
    """Told once, however often it is drawn."""

    def load(*_: object) -> None:
        if result:
            raise result

    dataset = tiny_run.TinyData(data_prefix=dict(img_path=str(images)), pipeline=[dict(type='LoadImageOfText')])
    monkeypatch.setattr(LoadImageOfText, '__call__', load)
    monkeypatch.setattr(type(dataset), 'prepare_data', lambda self, _: self.pipeline.transforms[0]({}).shape)
    careful = CarefulReading(dataset, tmp_path / 'list.txt')
    assert careful(3) is careful(3) is None
    assert (tmp_path / 'list.txt').read_text() == f'{images / "3.jpg"}\t{reason}\n'


@pytest.mark.parametrize('count', [0, 5, 6])
def test_an_evaluation_tells_how_many(count: int, tmp_path: Path):
    hook, told = BrokenImagesHook(), []
    hook._evaluated = [f'{index}.jpg' for index in range(count)]
    runner = SimpleNamespace(work_dir=str(tmp_path), logger=SimpleNamespace(warning=told.append))
    hook.after_val_epoch(runner)
    hook.after_test_epoch(runner)
    names = '0.jpg, 1.jpg, 2.jpg, 3.jpg, 4.jpg' + ', ...' * (count > 5)
    words = f'{count} images could not be read and count as images without detections: {names}; all are listed in '
    assert told == [f'{words}{tmp_path}/broken_images.txt'] * (2 if count else 0)


def test_data_sets_inside_of_others_are_found():
    class Around:
        def __init__(self, **inner: object) -> None:
            self.__dict__.update(inner)

    one, two = tiny_run.TinyData(), tiny_run.TinyData()
    assert list(leaves(Around(dataset=Around(datasets=[one, Around(dataset=two)])))) == [one, two]


def test_what_a_decoder_says_is_in_the_log_once_and_not_on_the_console(images, tmp_path, capfd):
    file = BytesIO()
    Image.effect_noise((64, 48), 60).convert('RGB').save(file, 'JPEG')
    path = images / '3.jpg'
    path.write_bytes(file.getvalue()[:1500] + b'\xff\xd9')
    dataset = tiny_run.TinyData(
        data_prefix=dict(img_path=str(images)), pipeline=[dict(type='LoadImageFromFile')], test_mode=True
    )
    dataset.prepare_data = CarefulReading(dataset, tmp_path / 'list.txt')
    log = MMLogger.get_instance('decoder lines', log_file=str(tmp_path / 'run.log'))
    for handler in log.handlers:
        if not isinstance(handler, logging.FileHandler):
            handler.addFilter(ForPeople())
    assert [dataset[3]['img'].shape for _ in range(2)] == [(48, 64, 3)] * 2
    assert (tmp_path / 'run.log').read_text().count(f'{path}: Corrupt JPEG data: premature end of data segment') == 1
    assert 'JPEG' not in ''.join(capfd.readouterr())

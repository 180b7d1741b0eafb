"""A detector from Python finds what the programs find, in whatever an image comes as."""

import doctest
import importlib
import json
import pickle
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as mask_utils

import swin_mmdet
from swin_mmdet.api.detections import Detections
from swin_mmdet.api.detector import Detector
from swin_mmdet.api.slices import Slices
from swin_mmdet.errors import CheckpointError, UserError


@pytest.fixture(scope='module')
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file without loss, in which every pixel differs."""
    path = tmp_path_factory.mktemp('photos') / 'photo.png'
    cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 256, (80, 110, 3), np.uint8))
    return path


def equal(one: Detections, other: Detections) -> bool:
    return bool(
        len(one)
        and np.array_equal(one.boxes, other.boxes)
        and np.array_equal(one.scores, other.scores)
        and np.array_equal(one.labels, other.labels)
        and one.masks.rles == other.masks.rles
    )


def command(name: str, *arguments: object) -> int:
    return importlib.import_module(f'swin_mmdet.commands.{name}').main([str(argument) for argument in arguments])


def test_importing_the_package_stays_light_and_has_the_names():
    code = (
        'import sys, swin_mmdet; assert "torch" not in sys.modules and "numpy" not in sys.modules\n'
        'try: swin_mmdet.Detektor\nexcept AttributeError as error: print(error)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == "module 'swin_mmdet' has no attribute 'Detektor'\n"
    assert swin_mmdet.Detector is vars(swin_mmdet)['Detector'] is Detector
    assert swin_mmdet.Detections is Detections


def test_it_finds_what_test_and_predict_find(detector: Detector, work_dir: Path, shapes: Path, tmp_path: Path):
    """To the last bit."""
    config, checkpoint = work_dir / 'tiny.py', work_dir / 'epoch_2.pth'
    command('test', config, checkpoint, '--data', shapes, '--work-dir', tmp_path, '--out', tmp_path / 'out.pkl')
    tested = {Path(sample['img_path']).name: sample['pred_instances'] for sample in
              pickle.loads((tmp_path / 'out.pkl').read_bytes())}  # fmt: skip
    assert command('predict', config, checkpoint, shapes / 'val2017', '--out-dir', tmp_path, '--score-thr', 0,
                   '--device', 'cpu') == 0  # fmt: skip
    rows = json.loads((tmp_path / 'results.json').read_text())
    results = detector(shapes / 'val2017')
    assert len(results) == len(tested) == 3
    for index, found in enumerate(results, start=1):
        expected = tested[found.picture.path.name]
        assert len(found) == 5
        np.testing.assert_array_equal(found.boxes, expected['bboxes'].numpy())
        np.testing.assert_array_equal(found.scores, expected['scores'].numpy())
        np.testing.assert_array_equal(found.labels, expected['labels'].numpy())
        for mask, rle in zip(found.masks, expected['masks']):
            np.testing.assert_array_equal(mask, mask_utils.decode(rle))
        assert found.to_coco(index) == [row for row in rows if row['image_id'] == index]
        drawn = cv2.imread(str(tmp_path / 'vis' / found.picture.path.name))
        found.save(tmp_path / 'again.jpg')
        np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'again.jpg')), drawn)


def test_an_image_is_the_same_in_every_form(detector: Detector, photo: Path):
    expected = detector(photo)
    rgb = cv2.imread(str(photo))[..., ::-1]
    assert equal(detector(str(photo)), expected)
    assert equal(detector(rgb), expected)
    assert equal(detector(Image.open(photo)), expected)
    assert equal(detector(torch.from_numpy(rgb.copy()).permute(2, 0, 1)), expected)
    # the order of colours matters
    assert not equal(detector(rgb[..., ::-1]), expected)
    assert expected.picture.path == photo
    assert expected.image_size == (80, 110)
    np.testing.assert_array_equal(expected.image(), rgb)
    np.testing.assert_array_equal(detector(rgb).plot(), expected.plot())


def test_several_images_give_a_list_and_an_iterator_gives_an_iterator(detector: Detector, photo: Path):
    expected, rgb = detector(photo), cv2.imread(str(photo))[..., ::-1]
    for images in ([photo], (photo, rgb), [Image.open(photo), str(photo)], photo.parent, str(photo.parent / 'ph*.png'),
                   np.stack([rgb, rgb])):  # fmt: skip
        results = detector(images)
        assert isinstance(results, list)
        assert all(equal(found, expected) for found in results)
    assert [len(detector(images)) for images in ((photo, rgb), np.stack([rgb] * 3))] == [2, 3]
    results = detector(path for path in [photo])
    assert isinstance(results, Iterator)
    assert equal(next(results), expected)
    assert equal(next(detector.stream([photo])), expected)


def test_a_batch_is_one_of_a_dataloader(detector: Detector, photo: Path, shapes: Path, monkeypatch):
    images = [*sorted((shapes / 'val2017').iterdir()), photo]
    sizes, step = [], detector.model.test_step
    monkeypatch.setattr(detector.model, 'test_step', lambda data: sizes.append(len(data['inputs'])) or step(data))
    together, alone = detector(images, batch_size=3), detector(images)
    assert sizes == [3, 1, 1, 1, 1, 1]
    assert equal(together[3], alone[3])
    for one, other in zip(together, alone):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)


@pytest.mark.parametrize(
    'array',
    [
        np.arange(4800).reshape(60, 80).astype(np.uint8),
        np.arange(4800).reshape(60, 80, 1).astype(np.uint8),
        np.arange(19200).reshape(60, 80, 4).astype(np.uint8),
        (np.arange(4800) * 13).reshape(60, 80).astype(np.uint16),
        (np.arange(14400) * 4).reshape(60, 80, 3).astype(np.uint16),
    ],
    ids=['grey', 'one channel', 'alpha', '16 bits', '16 bits of colours'],
)
def test_other_arrays_are_read_as_files_of_them_are(detector: Detector, array: np.ndarray, tmp_path: Path):
    order = [2, 1, 0, 3][: array.shape[2]] if array.ndim == 3 and array.shape[2] > 1 else None
    cv2.imwrite(str(tmp_path / 'file.png'), array if order is None else array[..., order])
    assert equal(detector(array), detector(tmp_path / 'file.png'))


def test_pil_images_are_turned_and_seen_in_colour(detector: Detector, photo: Path, tmp_path: Path):
    image = Image.open(photo)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / 'turned.png', exif=exif)
    turned = detector(Image.open(tmp_path / 'turned.png'))
    assert turned.image_size == (110, 80)
    assert equal(turned, detector(image.transpose(Image.Transpose.ROTATE_270)))
    assert equal(turned, detector(tmp_path / 'turned.png'))
    for mode in ('1', 'L', 'P', 'CMYK', 'RGBA', 'LA'):
        other = image.convert(mode)
        assert equal(detector(other), detector(other.convert('RGB')))
    with pytest.raises(UserError, match="a PIL image of mode 'F'"):
        detector(image.convert('F'))


WRONG = {
    'float': (np.zeros((9, 9, 3), np.float32), r'uint8 in RGB .*, got float32 \[9, 9, 3\]; scale its values'),
    'bool': (np.zeros((9, 9), bool), r'got bool \[9, 9\]'),
    'channels first': (np.zeros((3, 9, 7), np.uint8), r'got uint8 \[3, 9, 7\]; give image\.transpose\(1, 2, 0\)'),
    'two channels': (np.zeros((9, 9, 2), np.uint8), r'got uint8 \[9, 9, 2\]'),
    'bands': (np.zeros((9, 9, 12), np.uint8), r'got uint8 \[9, 9, 12\]'),
    'empty array': (np.zeros((0, 9, 3), np.uint8), r'got uint8 \[0, 9, 3\]'),
    'one axis': (np.zeros(9, np.uint8), r'got uint8 \[9\]'),
    'tensor': (torch.zeros(9, 9), r'a tensor must be \[3, H, W\] uint8 in RGB, got torch\.float32 \[9, 9\]'),
    'empty list': ([], 'an empty list of images'),
    'nothing': (None, 'an image of type NoneType; give a path'),
    'number in a list': ([7], 'an image of type int; give a path'),
    'no file': ('gone.jpg', r'no image or folder at gone\.jpg'),
    'no match': ('gone*.jpg', r'no image matches gone\*\.jpg'),
    'no video': ('gone.mp4', r'no image or folder at gone\.mp4'),
    'URL': ('https://a.org/b.jpg', 'is a URL: download the file'),
}  # fmt: skip


@pytest.mark.parametrize('case', WRONG)
def test_what_is_no_image_is_named(detector: Detector, case: str):
    images, message = WRONG[case]
    with pytest.raises(UserError, match=message):
        detector(images)


def test_wrong_options_are_named(detector: Detector, photo: Path):
    for size in (0, -1, 1.5, None):
        with pytest.raises(UserError, match='batch_size='):
            detector(photo, batch_size=size)
    with pytest.raises(UserError, match='slices='):
        detector.stream(photo, slices='large')


def test_a_broken_file_is_named_and_the_others_go_on(detector: Detector, photo: Path, tmp_path: Path):
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'no image')
    with pytest.warns(UserWarning, match=r'broken\.jpg is skipped: not a readable image'):
        first, second, third = detector([photo, broken, photo], batch_size=2)
    assert second is None
    assert equal(first, third)
    with pytest.raises(UserError, match=r'broken\.jpg: not a readable image'):
        detector(broken)
    shutil.copy(photo, tmp_path / 'soon.png')
    found = detector(tmp_path / 'soon.png')
    (tmp_path / 'soon.png').unlink()
    with pytest.raises(UserError, match=r'soon\.png cannot be read again'):
        found.plot()


def test_videos_are_iterators_of_frames(detector: Detector, tmp_path: Path):
    clip = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*'MJPG'), 10.0, (96, 64))
    for value in (10, 100, 200):
        frame = np.full((64, 96, 3), value, np.uint8)
        frame[10:30, 20:50] = 0, 0, 255
        writer.write(frame)
    writer.release()
    results = detector(clip, batch_size=2)
    assert isinstance(results, Iterator)
    found = list(results)
    capture = cv2.VideoCapture(str(clip))
    for number, one in enumerate(found):
        assert (one.picture.path, one.picture.frame) == (clip, number)
        rgb = capture.read()[1][..., ::-1]
        np.testing.assert_array_equal(one.image(), rgb)
        assert rgb[15, 30].argmax() == 0
        assert np.abs(one.scores - detector(rgb).scores).max() < 1e-5
        assert {(row['file_name'], row['frame']) for row in one.to_coco(1)} == {('clip.avi', number)}
    assert len(found) == 3
    for images in ([clip, clip], str(tmp_path / '*.avi')):
        with pytest.raises(UserError, match=r'a video among other images: give it alone, or take detector\.stream'):
            detector(images)
        assert len(next(detector.stream(images))) == len(found[0])
    (tmp_path / 'broken.mp4').write_bytes(b'no video' * 99)
    with pytest.raises(UserError, match=r'broken\.mp4 is a video by its name, and OpenCV reads no frame of it'):
        detector(tmp_path / 'broken.mp4')


def test_an_image_of_one_tile_is_the_same_in_slices(detector: Detector, photo: Path):
    assert equal(detector(photo, slices=True), detector(photo))
    assert equal(detector(photo, slices=(80, 110)), detector(photo))
    sliced = detector(photo, slices=Slices(64, whole=False), batch_size=2)
    # two tiles down and two across of at most 5 each
    assert 5 < len(sliced) <= 20
    assert sliced.boxes.max() > 64
    assert {mask.shape for mask in sliced.masks} == {(80, 110)}


def test_a_folder_has_its_config_and_its_checkpoint(detector: Detector, work_dir: Path, photo: Path, tmp_path: Path):
    expected = detector(photo)
    folder = tmp_path / 'run'
    shutil.copytree(work_dir, folder)
    options = dict(device='cpu', score_thr=0)
    best = torch.load(folder / 'epoch_2.pth')
    best['state_dict']['roi_head.bbox_head.fc_cls.weight'] *= 0.5
    torch.save(best, folder / 'best_coco_segm_mAP_epoch_1.pth')
    assert equal(Detector(folder, 'last', **options)(photo), expected)
    assert equal(Detector(folder, 'epoch_2.pth', **options)(photo), expected)
    assert not equal(Detector(folder, **options)(photo), expected)
    (folder / 'best_coco_segm_mAP_epoch_1.pth').write_bytes(b'PK')
    with pytest.warns(UserWarning, match=r'best_coco_segm_mAP_epoch_1\.pth is passed over'):
        assert equal(Detector(folder, **options)(photo), expected)
    with pytest.raises(UserError, match='no good checkpoint best_'), warnings.catch_warnings():
        Detector(folder, 'best')
    (folder / 'other.py').write_text('')
    with pytest.raises(UserError, match=r'several configs: other\.py, tiny\.py; give one'):
        Detector(folder)
    # that of the newest run, as mmengine leaves them
    for time in ('20250101_000000', '20260101_000000'):
        (folder / time / 'vis_data').mkdir(parents=True)
    (folder / '20250101_000000/vis_data/config.py').write_text('')
    shutil.copy(folder / 'tiny.py', folder / '20260101_000000/vis_data/config.py')
    assert equal(Detector(folder, 'last', **options)(photo), expected)


def test_a_folder_that_somebody_gave_away(work_dir: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r'has no config \(\.py\)'):
        Detector(tmp_path)
    shutil.copy(work_dir / 'tiny.py', tmp_path)
    with pytest.raises(UserError, match='has no weights; give a file'):
        Detector(tmp_path)
    shutil.copy(work_dir / 'epoch_2.pth', tmp_path / 'weights.pth')
    assert Detector(tmp_path, device='cpu').class_names == ('circle', 'square', 'triangle')
    shutil.copy(work_dir / 'epoch_2.pth', tmp_path / 'other.pth')
    with pytest.raises(UserError, match=r'several files of weights: other\.pth, weights\.pth'):
        Detector(tmp_path)


def test_what_does_not_fit_is_named(work_dir: Path, tmp_path: Path):
    config = work_dir / 'tiny.py'
    with pytest.raises(UserError, match=r'is a config, and a detector needs weights'):
        Detector(config)
    with pytest.raises(UserError, match=r'no config at .*gone\.py'):
        Detector(tmp_path / 'gone.py', work_dir / 'epoch_2.pth')
    with pytest.raises(UserError, match=r'no checkpoint at gone\.pth'):
        Detector(config, 'gone.pth')
    with pytest.raises(UserError, match=r'no device cuda:77 here: .*; there are cpu'):
        Detector(work_dir, device='cuda:77')
    with pytest.raises(UserError, match=r'model\.backbon: .*did you mean backbone\?'):
        Detector(work_dir, cfg_options={'model.backbon.frozen_stages': 1})
    # a head for other classes
    options = {'model.roi_head.bbox_head.num_classes': 5, 'model.roi_head.mask_head.num_classes': 5}
    with pytest.raises(CheckpointError, match='it does not fit the model of this config'):
        Detector(work_dir, device='cpu', cfg_options=options)


def test_a_model_that_is_there(detector: Detector, photo: Path):
    again = Detector.from_model(detector.model, score_thr=0)
    assert equal(again(photo), detector(photo))
    again.score_thr = 0.99
    assert len(again(photo)) == (detector(photo).scores >= 0.99).sum()


def test_it_is_evaluated_as_by_the_program(detector: Detector, work_dir: Path, shapes: Path, tmp_path: Path, capsys):
    # weights that are in no file
    scores = Detector.from_model(detector.model).evaluate(shapes)
    assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= set(scores)
    config, checkpoint = work_dir / 'tiny.py', work_dir / 'epoch_2.pth'
    command('test', config, checkpoint, '--data', shapes, '--work-dir', tmp_path)
    (log,) = (path for path in tmp_path.glob('*/*.json') if path.stem == path.parent.name)
    tested = json.loads(log.read_text().splitlines()[-1])
    assert {name: tested[name] for name in scores} == scores
    with pytest.raises(UserError, match=r'^no argument --show-dri; did you mean --show-dir\?'):
        detector.evaluate(shapes, show_dri='x')
    capsys.readouterr()


@pytest.mark.slow
def test_it_trains_as_the_program(work_dir: Path, shapes: Path, photo: Path, tmp_path: Path):
    options = dict(epochs=2, batch_size=1, work_dir=tmp_path / 'run', seed=3, workers=0, no_report=True)
    options |= dict(freeze=['backbone'], cfg_options={'model.test_cfg.rcnn.max_per_img': 4})
    for slip in ('epohcs', 'epoch'):
        with pytest.raises(UserError, match=rf'^no argument --{slip}; did you mean --epochs'):
            Detector.train(shapes, work_dir / 'tiny.py', **{slip: 2})
    with pytest.raises(UserError, match='--epochs many: give a whole number'):
        Detector.train(shapes, work_dir / 'tiny.py', epochs='many')
    trained = Detector.train(shapes, work_dir / 'tiny.py', score_thr=0, **options)
    assert trained.class_names == ('circle', 'square', 'triangle')
    assert Path(trained.checkpoint).parent == tmp_path / 'run'
    assert trained.cfg.randomness.seed == 3
    assert trained.cfg.frozen_parts == ['backbone']
    assert len(trained(photo)) == 4
    assert equal(Detector(tmp_path / 'run', score_thr=0)(photo), trained(photo))


def test_views_of_a_batch_are_those_of_each_image(detector: Detector, photo: Path):
    in_views = Detector.from_model(detector.model, score_thr=0, tta=True)
    images = [photo, photo]
    together, alone = in_views(images, batch_size=2), in_views(photo)
    for found in together:
        np.testing.assert_allclose(found.boxes, alone.boxes, atol=1e-3)
        np.testing.assert_allclose(found.scores, alone.scores, atol=1e-5)
    # scores may be as high as they can be in each view
    assert not np.array_equal(alone.boxes, detector(photo).boxes)


def test_what_cannot_be_exported_is_named(detector: Detector, tmp_path: Path):
    with pytest.raises(UserError, match=r'the name of a file --to onnx ends in \.onnx'):
        detector.export(tmp_path / 'model.engine')
    with pytest.raises(UserError, match='a detector of a checkpoint can be exported'):
        Detector.from_model(detector.model).export(tmp_path / 'model.onnx')


def test_the_example_of_the_documentation_runs(work_dir: Path, photo: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(photo, tmp_path / 'photo.png')
    (test,) = doctest.DocTestFinder(recurse=False).find(Detector, 'Detector', globs={'WORK_DIR': work_dir})
    assert doctest.DocTestRunner().run(test) == (0, 6)
    assert cv2.imread(str(tmp_path / 'drawn.png')) is not None

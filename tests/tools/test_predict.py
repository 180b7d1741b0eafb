"""predict.py draws, writes COCO results and survives a broken image."""

import importlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from pycocotools import mask as rle
from pycocotools.coco import COCO

from swin_mmdet.engine.inference import detect_plainly


@pytest.fixture(scope='module')
def predicted(trained: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path, Path]:
    """Exit code, output folder and annotation file of a run over two images and a broken one."""
    folder = tmp_path_factory.mktemp('predict')
    broken = folder / 'broken.jpg'
    broken.write_bytes(b'not an image')
    ann_file = shapes / 'annotations/instances_val2017.json'
    arguments = [
        trained / 'tiny.py', trained / 'epoch_3.pth', broken, shapes / 'val2017', '--out-dir', folder / 'out',
        '--score-thr', '0', '--device', 'cpu',
    ]  # fmt: skip
    read = importlib.import_module('swin_mmdet.checkpoint.files')._read
    sources = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('swin_mmdet.checkpoint.files._read', lambda source: sources.append(source) or read(source))
        code = importlib.import_module('swin_mmdet.commands.predict').main([str(argument) for argument in arguments])
    assert sources == [str(trained / 'epoch_3.pth')], 'the checkpoint is read once'
    return code, folder / 'out', ann_file


def test_a_broken_image_is_skipped_and_the_exit_code_says_so(predicted: tuple[int, Path, Path]):
    code, out, _ = predicted
    assert code == 1
    assert not (out / 'vis/broken.jpg').exists()


def test_every_other_image_is_drawn(predicted: tuple[int, Path, Path], shapes: Path):
    drawn = sorted((predicted[1] / 'vis').iterdir())
    assert [path.name for path in drawn] == sorted(path.name for path in (shapes / 'val2017').iterdir())
    # 96 pixels are too few for labels beside the objects
    assert {cv2.imread(str(path)).shape for path in drawn} == {(576, 576, 3)}


def test_results_are_coco_results(predicted: tuple[int, Path, Path]):
    _, out, ann_file = predicted
    rows = json.loads((out / 'results.json').read_text())
    assert rows
    for row in rows:
        assert rle.decode(row['segmentation']).shape == (96, 96)
        assert row['category_name'] == ('circle', 'square', 'triangle')[row['category_id'] - 1]
    # the broken image was the first, so the ids of the others are 2 and 3
    assert {row['image_id'] for row in rows} <= {2, 3}
    ids = {image['file_name']: image['id'] for image in json.loads(ann_file.read_text())['images']}
    COCO(str(ann_file)).loadRes([row | dict(image_id=ids[row['file_name']]) for row in rows])


SIXTEEN_BITS = """
_base_ = {base!r}

test_dataloader = dict(dataset=dict(pipeline=[
    dict(type='LoadImageFromFile', color_type={color_type!r}),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]))
"""


@pytest.mark.parametrize('channels', [1, 3])
def test_images_are_read_as_the_test_pipeline_reads_them(trained: Path, tmp_path: Path, monkeypatch, channels: int):
    """16 bits stay 16 bits for the detector, one channel stays one, and both are drawn."""
    values = np.random.default_rng(0).integers(0, 4000, (96, 96, channels), dtype=np.uint16).squeeze()
    cv2.imwrite(str(tmp_path / 'image.png'), values)
    config = tmp_path / 'sixteen_bits.py'
    config.write_text(SIXTEEN_BITS.format(base=str(trained / 'tiny.py'), color_type='unchanged'))
    seen = []

    def watch(model):
        def detect(images):
            seen.extend(images)
            if channels == 3:
                return detect_plainly(model)(images)
            # a detector for one channel would be another model
            found = dict(bboxes=torch.zeros(1, 4), scores=torch.ones(1), labels=torch.zeros(1, dtype=torch.long))
            return [DetDataSample(pred_instances=InstanceData(**found))]

        return detect

    monkeypatch.setattr('swin_mmdet.api.detector.detect_plainly', watch)
    arguments = [config, trained / 'epoch_3.pth', tmp_path / 'image.png', '--out-dir', tmp_path / 'out',
                 '--device', 'cpu', '--score-thr', 0]  # fmt: skip
    assert importlib.import_module('swin_mmdet.commands.predict').main([str(argument) for argument in arguments]) == 0
    (image,) = seen
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, values)
    assert json.loads((tmp_path / 'out/results.json').read_text())
    # enlarged, as every small picture is
    assert cv2.imread(str(tmp_path / 'out/vis/image.png')).shape == (576, 576, 3)


def test_a_video_is_drawn_as_a_video_and_its_frames_have_rows(trained: Path, tmp_path: Path, capsys):
    clip = tmp_path / 'clip.avi'
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*'MJPG'), 12.0, (96, 96))
    for value in (20, 120, 220, 240):
        writer.write(np.full((96, 96, 3), value, np.uint8))
    writer.release()
    arguments = [trained / 'tiny.py', trained / 'epoch_3.pth', clip, '--out-dir', tmp_path / 'out', '--device', 'cpu',
                 '--score-thr', 0, '--limit', 3, '--batch-size', 2]  # fmt: skip
    assert importlib.import_module('swin_mmdet.commands.predict').main([str(argument) for argument in arguments]) == 0
    rows = json.loads((tmp_path / 'out/results.json').read_text())
    assert {(row['image_id'], row['frame'], row['file_name']) for row in rows} == {
        (number + 1, number, 'clip.avi') for number in range(3)
    }
    assert '[2] ' + str(clip) + ', frame 1: 5 objects' in capsys.readouterr().out
    capture = cv2.VideoCapture(str(tmp_path / 'out/vis/clip.mp4'))
    assert capture.get(cv2.CAP_PROP_FPS) == 12
    frames = [capture.read() for _ in range(4)]
    assert [is_there for is_there, _ in frames] == [True] * 3 + [False]
    assert frames[0][1].shape == (576, 576, 3)


def test_large_images_are_seen_in_slices(trained: Path, tmp_path: Path):
    cv2.imwrite(str(tmp_path / 'large.png'), np.random.default_rng(0).integers(0, 255, (150, 260, 3), np.uint8))
    arguments = [trained / 'tiny.py', trained / 'epoch_3.pth', tmp_path / 'large.png', '--out-dir', tmp_path / 'out',
                 '--device', 'cpu', '--score-thr', 0, '--slices', 96, 128, '--batch-size', 4]  # fmt: skip
    assert importlib.import_module('swin_mmdet.commands.predict').main([str(argument) for argument in arguments]) == 0
    rows = json.loads((tmp_path / 'out/results.json').read_text())
    # 5 in each of 2 x 3 tiles and in the whole, at most
    assert 5 < len(rows) <= 35
    assert {tuple(row['segmentation']['size']) for row in rows} == {(150, 260)}
    assert max(row['bbox'][0] + row['bbox'][2] for row in rows) > 200

"""The runtime of exported files: what it does to images and what it refuses. Its detectors are in test_export.py."""

import json
import sys
import zipfile

import cv2
import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmcv import imrescale
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

from swin_mmdet.export.runtime import Batch, Detector, Found, check, digest, draw, grow, new_size, paste, resize
from swin_mmdet.export.targets import annotate_archive, annotate_onnx

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')

ABOUT = {
    'format': 1, 'part': 'detector', 'size': None, 'free': {'divisor': 32, 'least': 64, 'most': 128},
    'outputs': ['boxes', 'scores', 'labels'],
    'classes': ['cat', 'dog'], 'preprocessing': {'scale': [100, 60], 'keep_ratio': True, 'pad': None},
}  # fmt: skip


def model_file(path, **changes):
    """A program that finds the same in every image: a dog, and nothing."""
    constants = {
        'boxes': np.array([[[5.0, 10, 25, 30], [0, 0, 0, 0]]], np.float32),
        'scores': np.array([[0.75, 0.0]], np.float32),
        'labels': np.array([[1, -1]]),
    }
    nodes = [
        onnx.helper.make_node('Constant', [], [name], value=onnx.numpy_helper.from_array(value))
        for name, value in constants.items()
    ]
    sides = [1, 3, 'h', 'w']
    inputs = [
        onnx.helper.make_tensor_value_info('images', onnx.TensorProto.UINT8, sides),
        onnx.helper.make_tensor_value_info('sizes', onnx.TensorProto.INT64, [1, 2]),
    ]
    outputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in constants.items()
    ]
    graph = onnx.helper.make_graph(nodes, 'constant', inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    annotate_onnx(path, json.dumps(ABOUT | changes))
    return path


@pytest.mark.parametrize('size', [(48, 64), (33, 100), (200, 90)], ids=str)
def test_images_are_resized_as_in_training(size):
    image = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR).astype(float)
    # cv2 computes with integers
    assert np.abs(resize(image.astype(np.float32), *size) - expected).max() <= 1


@pytest.mark.parametrize('size', [(480, 640), (1200, 300), (31, 1999), (800, 1333)], ids=str)
def test_sizes_are_those_of_training(size):
    image = np.zeros((*size, 3), np.uint8)
    assert new_size(*size, (1333, 800), True) == imrescale(image, (1333, 800)).shape[:2]


def test_masks_are_pasted_as_mmdet_pastes_them():
    random = np.random.default_rng(1)
    masks = random.random((30, 28, 28), dtype=np.float32)
    boxes = random.uniform(-20, 90, (30, 2)).astype(np.float32)
    boxes = np.concatenate([boxes, boxes + random.uniform(3, 60, (30, 2)).astype(np.float32)], 1)
    expected = _do_paste_mask(torch.from_numpy(masks)[:, None], torch.from_numpy(boxes), 80, 100, skip_empty=False)[0]
    for mask, box, one in zip(masks, boxes, expected.numpy()):
        found = paste(mask, box, 80, 100)
        assert (found == (one >= 0.5))[np.abs(one - 0.5) > 1e-4].all()
    assert (expected >= 0.5).any()


def test_grown_masks_are_those_of_mask2former():
    logits = np.random.default_rng(2).normal(size=(16, 24)).astype(np.float32)
    padded = torch.nn.functional.interpolate(torch.from_numpy(logits)[None, None], (64, 96), mode='bilinear')
    expected = torch.nn.functional.interpolate(padded[..., :60, :80], (90, 120), mode='bilinear')[0, 0].numpy()
    found = grow(logits, (64, 96), (60, 80), (90, 120))
    assert (found == (expected > 0))[np.abs(expected) > 1e-4].all()


def test_boxes_are_in_pixels_of_the_image(tmp_path):
    detector = Detector(model_file(tmp_path / 'model.onnx'))
    # fits 100 x 60 at half its size
    found = detector(np.zeros((120, 160, 3), np.uint8))
    np.testing.assert_allclose(found.boxes, [[10, 20, 50, 60]])
    assert (found.scores.tolist(), found.labels.tolist(), found.masks) == ([0.75], [1], None)
    assert not len(detector(np.zeros((120, 160, 3), np.uint8), score_thr=0.8).scores)


def test_an_image_is_padded_to_what_the_program_takes(tmp_path):
    image = np.full((120, 160, 3), 200, np.uint8)
    free = Detector(model_file(tmp_path / 'free.onnx')).batch(image)
    assert (free.images.shape, free.sizes.tolist(), free.resized) == ((1, 3, 64, 96), [[60, 80]], (60, 80))
    assert (free.images[0, :, :60, :80] == 200).all()
    assert (free.images[0, :, 60:] == 0).all()
    fixed = Detector(model_file(tmp_path / 'fixed.onnx', size=[64, 64], free=None)).batch(image)
    # only at a smaller scale than the config's does it fit
    assert (fixed.images.shape, fixed.resized) == ((1, 3, 64, 64), (48, 64))
    pad = {'size': [96, 96], 'value': [1, 2, 3]}
    steps = ABOUT['preprocessing'] | {'pad': pad}
    padded = Detector(model_file(tmp_path / 'padded.onnx', preprocessing=steps)).batch(image)
    assert (padded.sizes.tolist(), padded.resized) == ([[96, 96]], (60, 80))
    assert padded.images[0, :, 95, 95].tolist() == [1, 2, 3]


def test_masks_of_the_size_of_the_image_lose_their_padding(tmp_path):
    detector = Detector(model_file(tmp_path / 'model.onnx'))
    batch = detector.batch(np.zeros((120, 160, 3), np.uint8))
    whole = np.zeros((1, 2, *batch.images.shape[2:]), bool)
    whole[0, 0, 10:30, 5:25] = True
    # in the padding alone
    whole[0, 0, 60:] = True
    found = detector.in_image(detector.detect(batch) | {'full_masks': whole}, batch, (120, 160))
    expected = np.zeros((1, 120, 160), bool)
    expected[0, 20:60, 10:50] = True
    assert (found.masks == expected).all()


def test_sizes_that_the_program_does_not_take_are_refused(tmp_path):
    detector = Detector(model_file(tmp_path / 'model.onnx'))
    for height, width in ((64, 160), (32, 64), (64, 72)):
        batch = Batch(np.zeros((1, 3, height, width), np.uint8), np.array([[height, width]]), (height, width))
        with pytest.raises(ValueError, match=f'from 64 to 128 in multiples of 32, got {height}x{width}'):
            detector.detect(batch)


def test_what_is_no_image_is_refused(tmp_path):
    detector = Detector(model_file(tmp_path / 'model.onnx'))
    with pytest.raises(ValueError, match=r'must be \[H, W, 3\] uint8 RGB, got float32 \[3, 8, 8\]'):
        detector(np.zeros((3, 8, 8), np.float32))
    with pytest.raises(ValueError, match=r'got uint8 \[0, 8, 3\]'):
        detector(np.zeros((0, 8, 3), np.uint8))


def test_a_changed_file_is_refused(tmp_path):
    path = model_file(tmp_path / 'model.onnx')
    assert b'cat' in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b'cat', b'cow'))
    with pytest.raises(ValueError, match=r'model\.onnx is not as it was written: its checksum is another'):
        Detector(path)


def test_a_file_of_somebody_else_is_refused(tmp_path):
    path = model_file(tmp_path / 'model.onnx')
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(ValueError, match=r'not written by tools/export\.py'):
        Detector(path)
    for name in ('broken.onnx', 'broken.pt2', 'broken.xml'):
        (tmp_path / name).write_bytes(b'nothing')
        with pytest.raises(ValueError, match=name):
            Detector(tmp_path / name)
    with pytest.raises(ValueError, match=r'no exported detector at .*gone\.onnx'):
        Detector(tmp_path / 'gone.onnx')
    with pytest.raises(ValueError, match=r'weights\.pth is no exported detector'):
        Detector(tmp_path / 'weights.pth')


def test_the_checksum_of_an_archive_is_of_all_its_files(tmp_path):
    path = tmp_path / 'program.pt2'
    for content in ('one', 'two'):
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('program/weights', content)
        digests = digest(path, '')
        with zipfile.ZipFile(path, 'a') as archive:
            archive.writestr('program/extra/swin_mmdet.sha256', digests)
        assert digest(path, '') == digests
        (tmp_path / content).write_text(digests)
    # a bit of a file in it
    path.write_bytes(path.read_bytes().replace(b'two', b'tvo', 1))
    with pytest.raises(ValueError, match=r'program\.pt2 is not as it was written'):
        check(path, {'swin_mmdet': '{}', 'swin_mmdet.sha256': digests})
    assert (tmp_path / 'one').read_text() != (tmp_path / 'two').read_text()


def test_a_program_for_a_gpu_is_refused_without_one(tmp_path, monkeypatch):
    path = tmp_path / 'program.pt2'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('program/weights', '')
    annotate_archive(path, json.dumps({'to': 'torch', 'device': 'cuda'}))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match=r'program\.pt2 is a program for a GPU, and torch .* finds none here'):
        Detector(path)


def test_a_program_that_finds_no_operators_says_where_they_are(tmp_path, monkeypatch):
    path = tmp_path / 'program.pt2'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('program/weights', '')
    annotate_archive(path, json.dumps({'to': 'torch', 'device': 'cpu'}))
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    with pytest.raises(ValueError, match=r'program\.pt2 needs torchvision, or swin_mmdet_torch_ops\.py beside'):
        Detector(path)


def test_detections_are_drawn():
    image = np.zeros((40, 60, 3), np.uint8)
    mask = np.zeros((1, 40, 60), bool)
    mask[0, 20:30, 30:40] = True
    found = Found(np.array([[5.0, 5, 50, 35]], np.float32), np.array([0.9]), np.array([1]), mask)
    drawn = np.asarray(draw(image, found, ['cat', 'dog']))
    assert drawn[5, 20].any()
    assert drawn[25, 35].any()
    assert not drawn[38, 2].any()

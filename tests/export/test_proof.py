"""What the proof of an export lets pass and what not."""

from dataclasses import replace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from swin_mmdet.export.pictures import batches, given, images_in, picture
from swin_mmdet.export.proof import Limits, _undecided, check, compare, prove
from swin_mmdet.export.runtime import Batch, Detector, Found

LIMITS = Limits(0.1, 1e-3, 0.99)
SIZE = 40, 60
PAD = (0, 0), (0, 0), (0, 30), (0, 40)


def found(boxes, scores, labels, masks=None):
    return Found(np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(labels), masks)


def masks(*corners):
    every = np.zeros((len(corners), *SIZE), bool)
    for mask, (y, x) in zip(every, corners):
        mask[y : y + 10, x : x + 20] = True
    return every


ONE, TWO = [0, 0, 20, 10], [30, 5, 50, 30]
TRUTH = found([ONE, TWO], [0.9, 0.4], [1, 0], masks((0, 0), (5, 30)))


def test_the_same_in_another_order_is_the_same():
    other = found([TWO, ONE], [0.4, 0.9], [0, 1], masks((5, 30), (0, 0)))
    difference = compare(other, TRUTH, SIZE, LIMITS, 0.05)
    assert difference.within(LIMITS)
    assert (difference.pairs, difference.boxes, difference.scores, difference.masks) == (2, 0.0, 0.0, 1.0)


@pytest.mark.parametrize('other', [
    found([[0, 0, 20.2, 10], TWO], [0.9, 0.4], [1, 0], TRUTH.masks),
    found([ONE, TWO], [0.902, 0.4], [1, 0], TRUTH.masks),
    found([ONE, TWO], [0.9, 0.4], [1, 1], TRUTH.masks),
    found([ONE, TWO], [0.9, 0.4], [1, 0], masks((0, 1), (5, 30))),
    found([ONE], [0.9], [1], TRUTH.masks[:1]),
    found([ONE, TWO, TWO], [0.9, 0.4, 0.4], [1, 0, 0], masks((0, 0), (5, 30), (5, 30))),
    found([], [], [], TRUTH.masks[:0]),
], ids=['box', 'score', 'label', 'mask', 'missing', 'twice', 'nothing'])  # fmt: skip
def test_what_differs_is_refused(other, user_error):
    difference = compare(other, TRUTH, SIZE, LIMITS, 0.05)
    assert not difference.within(LIMITS)
    with pytest.raises(user_error, match=r'model\.onnx is not kept: .*40x60: '):
        check([difference], LIMITS, 'model.onnx')


def test_half_precision_may_move_the_border_of_a_small_mask():
    """As far as the limit of boxes lets it: of a mask of 20 x 10, a tenth of a pixel on each of its four sides."""
    fewer = TRUTH.masks.copy()
    fewer[0, 0, :6] = False
    other, wide = TRUTH._replace(masks=fewer), replace(LIMITS, border=0.1)
    assert compare(other, TRUTH, SIZE, wide, 0.05).within(wide)
    assert compare(other, TRUTH, SIZE, LIMITS, 0.05).masks == pytest.approx(1 - 5 / 200)
    fewer[0, 1, :6] = False
    assert not compare(other, TRUTH, SIZE, wide, 0.05).within(wide)


def test_a_pixel_of_a_half_may_be_either():
    """Of probabilities within the limit of scores, and of logits whose probabilities are."""
    detector = Detector.__new__(Detector)
    output = {'boxes': np.array([[ONE]], np.float32), 'scores': np.ones((1, 1)), 'labels': np.ones((1, 1), np.int64)}
    halves = np.full((1, 1, 10, 20), 0.5 + 2e-3)
    halves[..., :6] = 0.5 + 5e-4
    batch = Batch(np.zeros((1, 3, *SIZE), np.uint8), np.array([SIZE]), SIZE)
    logits = np.pad(4 * (halves - 0.5), PAD, constant_values=-9)
    for name, values in (('masks', halves[..., :10]), ('mask_logits', logits)):
        free = _undecided(detector, output | {name: values}, batch, 1e-3)
        assert free.shape == (1, *SIZE)
        assert 0 < free.sum() < 200
    assert _undecided(detector, output, batch, 1e-3) is None
    other = found([ONE], [0.9], [1], masks((0, 0)) & ~free)
    truth = found([ONE], [0.9], [1], masks((0, 0)))
    assert not compare(other, truth, SIZE, LIMITS, 0.05).within(LIMITS)
    assert compare(other, truth, SIZE, LIMITS, 0.05, free).masks == 1
    assert not compare(other, truth, SIZE, LIMITS, 0.05, ~free).within(LIMITS)


def test_one_of_the_threshold_may_be_missing():
    """Which of those there is no room for is not decided by what the network says."""
    other = found([ONE], [0.9], [1], TRUTH.masks[:1])
    assert compare(other, TRUTH, SIZE, LIMITS, 0.3995).within(LIMITS)
    assert not compare(other, TRUTH, SIZE, LIMITS, 0.39).within(LIMITS)


def test_an_image_without_objects_is_the_same_as_another():
    nothing = found([], [], [], TRUTH.masks[:0])
    assert compare(nothing, nothing, SIZE, LIMITS, 0.05).within(LIMITS)


def test_a_folder_of_images_is_proven_in_every_size_and_without_objects(tmp_path, user_error):
    with pytest.raises(user_error, match=r'--images .*nowhere: no such folder'):
        images_in(str(tmp_path / 'nowhere'), '--images')
    with pytest.raises(user_error, match=r'--int8 .*: no image \(\.jpg'):
        images_in(str(tmp_path), '--int8')
    (tmp_path / 'broken.png').write_bytes(b'nothing')
    with pytest.raises(user_error, match=r'--images: .*broken\.png is no image that Pillow reads'):
        images_in(str(tmp_path), '--images')
    (tmp_path / 'broken.png').unlink()
    photo = picture(50, 70, 1)
    Image.fromarray(photo).save(tmp_path / 'photo.png')

    def padded(image):
        images = np.pad(image, ((0, 14), (0, 26), (0, 0))).transpose(2, 0, 1)[None]
        return Batch(images, np.array([[50, 70]]), (50, 70))

    detector = Mock(batch=padded)
    first, wide, empty = given(detector, images_in(str(tmp_path), '--images'), [(64, 192)])
    assert (first.images[0, :, :50, :70] == photo.transpose(2, 0, 1)).all()
    assert (wide.images.shape, wide.sizes.tolist()) == ((1, 3, 64, 192), [[64, 192]])
    np.testing.assert_allclose(wide.images.mean(), photo.mean(), atol=2)
    assert empty.images.shape == (1, 3, 64, 96)
    assert (empty.images[0] == picture(64, 96, 0).transpose(2, 0, 1)).all()


def test_a_proof_is_of_convolutions_in_float32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', True)
    seen = []

    def detect(_):
        seen.append(torch.backends.cudnn.allow_tf32)
        raise InterruptedError

    with pytest.raises(InterruptedError):
        prove(None, Mock(detect=detect), batches([(64, 64)]), LIMITS, 0.0)
    assert (seen, torch.backends.cudnn.allow_tf32) == ([False], True)

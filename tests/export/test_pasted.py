"""Masks made inside a program are those that the runtime makes of the same."""

import numpy as np
import pytest
import torch

from swin_mmdet.export import ExportOptions
from swin_mmdet.export.pasted import Pasted, grown, pasted
from swin_mmdet.export.runtime import grow, paste
from swin_mmdet.export.two_stage import TwoStage
from tests.export.small import FAMILIES, small_detector

SIZE = 48, 64


def test_probabilities_inside_boxes_are_pasted_as_the_runtime_does():
    random = np.random.default_rng(0)
    low = random.uniform(-10, 50, (25, 2)).astype(np.float32)
    boxes = np.concatenate([low, low + random.uniform(0, 40, (25, 2)).astype(np.float32)], 1)
    # without a side, as where nothing was found
    boxes[0] = 0
    masks = random.random((25, 28, 28), dtype=np.float32)
    found = pasted(torch.from_numpy(boxes)[None], torch.from_numpy(masks)[None], *SIZE)[0].numpy()
    expected = np.stack([paste(mask, box, *SIZE) for mask, box in zip(masks, boxes)])
    assert 0.01 < expected.mean() < 0.5
    assert (found != expected).sum() <= 2
    assert not found[0].any()


def test_logits_grow_as_in_the_runtime():
    logits = np.random.default_rng(1).normal(size=(3, 12, 16)).astype(np.float32)
    found = grown(None, torch.from_numpy(logits)[None], *SIZE)[0].numpy()
    assert (found == np.stack([grow(one, SIZE, SIZE, SIZE) for one in logits])).mean() > 0.999


@pytest.mark.parametrize('name', ['Faster R-CNN', 'Mask R-CNN'])
def test_a_program_of_masks_has_them_whole(name, repository, user_error):
    model, _ = small_detector(repository / 'configs' / FAMILIES[name])
    program = TwoStage(model)
    if name == 'Faster R-CNN':
        with pytest.raises(user_error, match='--paste-masks: FasterRCNN finds no masks'):
            Pasted(program)
        return
    whole = Pasted(program)
    inputs = torch.randint(256, (1, 3, 64, 96), dtype=torch.uint8), torch.tensor([[50, 90]])
    with torch.no_grad():
        boxes, scores, _, masks = whole(*inputs)
    assert whole.names == ('boxes', 'scores', 'labels', 'full_masks')
    assert masks.shape == (*scores.shape, 64, 96)
    assert masks.dtype == torch.bool
    # no pixel of an object is far from its box
    rows = masks[0].any(2).float() * torch.arange(64)
    assert (rows.amax(1) <= boxes[0, :, 3] + 1).all()


def test_int8_is_of_onnx_alone(user_error):
    for options in ({'to': 'torch'}, {'fp16': True}):
        with pytest.raises(user_error, match='--int8 makes a file --to onnx of float32'):
            ExportOptions(int8='images', **options)

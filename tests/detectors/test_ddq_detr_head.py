"""DDQ DETR in half precision, where mmdet's head ends in an error."""

from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.dense_heads import DDQDETRHead as MMDetDDQDETRHead
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

from swin_mmdet.detectors import DDQDETRHead
from tests.configs.small import shrink_model
from tests.detectors.cases import DEVICE
from tests.detectors.query_heads import ground_truth

CONFIG = Path(__file__).resolve().parents[2] / 'configs/ddq/ddq-detr-4scale_swinl_8xb2-30e_coco.py'


@pytest.fixture(scope='module')
def detector():
    """Small, with the smallest backbone."""
    register_all_modules()
    model = Config.fromfile(CONFIG).model
    model.backbone.update(arch='tiny', window_size=7)
    model.neck.in_channels = [192, 384, 768]
    shrink_model(model)
    torch.manual_seed(0)
    made = MODELS.build(model)
    made.init_weights()
    return made.to(DEVICE)


@pytest.fixture
def images():
    samples = ground_truth('some', ((96, 128), (96, 128)))
    return torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(0)).to(DEVICE), samples


def losses(detector, images, low):
    torch.manual_seed(0)
    detector.train().zero_grad()
    with torch.autocast(DEVICE, torch.bfloat16, enabled=low):
        found = detector.loss(*images)
    total, named = detector.parse_losses(found)
    total.backward()
    return named


def test_it_trains_in_half_precision_with_float32s_losses(detector, images):
    assert type(detector.bbox_head) is DDQDETRHead
    expected, found = (losses(detector, images, low) for low in (False, True))
    assert found.keys() == expected.keys()
    assert {loss.dtype for loss in found.values()} == {torch.float32}
    torch.testing.assert_close(found['loss'], expected['loss'], rtol=0.02, atol=0)
    assert all(one.grad is None or one.grad.isfinite().all() for one in detector.parameters())


def test_boxes_are_float32_in_half_precision(detector, images):
    detector.eval()
    with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16):
        found = detector.predict(*images)
    for sample in found:
        assert sample.pred_instances.bboxes.dtype == torch.float32
        assert len(sample.pred_instances)


def test_mmdets_head_does_not(detector, images, monkeypatch):
    """As a check of the check."""
    monkeypatch.setattr(detector.bbox_head, '__class__', MMDetDDQDETRHead)
    with pytest.raises(RuntimeError, match='dtypes match'):
        losses(detector, images, True)


def test_in_float32_losses_are_mmdets(detector, images, monkeypatch):
    found = losses(detector, images, False)
    monkeypatch.setattr(detector.bbox_head, '__class__', MMDetDDQDETRHead)
    expected = losses(detector, images, False)
    assert all(torch.equal(found[name], expected[name]) for name in expected)

"""A trace of a detector's prediction leaves nothing behind in it: what it kept of constants is none of the trace's."""

import copy
from contextlib import nullcontext

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import Config
from torch import nn

from swin_mmdet.ops.to_device import constant
from swin_mmdet.ops.windows import shift_mask
from tests.checkpoint.test_detector import ARCH
from tests.configs.small import shrink

PATHS = {
    'Mask R-CNN': 'configs/swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'RetinaNet': 'configs/swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py',
}


META = dict(img_shape=(64, 96), ori_shape=(64, 96), pad_shape=(64, 96), scale_factor=(1.0, 1.0))


class Boxes(nn.Module):
    """Boxes and scores of one image, as a function of tensors."""

    def __init__(self, detector):
        super().__init__()
        self.detector = detector

    def forward(self, image):
        found = predict(self.detector, image)
        return found[0], found[1]


def predict(detector, image):
    """With masks, where there are any."""
    found = detector.predict(image, [DetDataSample(metainfo=META)], rescale=False)[0].pred_instances
    masks = [torch.as_tensor(found.masks)] if 'masks' in found else []
    return [found.bboxes, found.scores, found.labels, *masks]


@pytest.mark.parametrize('name', PATHS)
def test_prediction_after_a_trace_is_that_before(name, repository):
    register_all_modules()
    cfg = Config.fromfile(repository / PATHS[name])
    shrink(cfg)
    cfg.model.backbone = ARCH | {'type': 'swin_mmdet.SwinTransformer'}
    cfg.model.neck.in_channels = [16, 32, 64, 128]
    torch.manual_seed(0)
    detector = MODELS.build(cfg.model).eval()
    for parameter in detector.parameters():
        nn.init.normal_(parameter, std=0.1)
    untouched = copy.deepcopy(detector)
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    shift_mask.cache_clear()
    constant.cache_clear()
    with torch.no_grad():
        # the program of an R-CNN is none that PyTorch can end, but by then the trace has run all of the prediction
        with nullcontext() if name == 'RetinaNet' else pytest.raises(RuntimeError, match='aten::view'):
            torch.jit.trace(Boxes(detector), image, check_trace=False)
        assert shift_mask.cache_info().currsize == constant.cache_info().currsize == 0
        found, expected = predict(detector, image), predict(untouched, image)
    assert len(expected[0]) > 0
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert constant.cache_info().currsize > 0

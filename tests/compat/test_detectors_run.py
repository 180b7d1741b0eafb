"""Detectors of mmdet train and predict on top of the patches: one with RoIs, one with deformable convolutions."""

from pathlib import Path

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
import mmdet
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine import Config
from mmengine.structures import InstanceData

SIZE = (96, 128)


def sample() -> DetDataSample:
    masks = np.zeros((2, *SIZE), dtype=np.uint8)
    masks[0, 10:60, 8:70] = masks[1, 30:90, 50:120] = 1
    instances = InstanceData(
        bboxes=torch.tensor([[8.0, 10, 70, 60], [50, 30, 120, 90]]), labels=torch.tensor([1, 5]),
        masks=BitmapMasks(masks, *SIZE),
    )
    shapes = dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape'), SIZE)
    return DetDataSample(metainfo=dict(shapes, scale_factor=(1.0, 1.0), img_id=0), gt_instances=instances)


CONFIGS = ['mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'reppoints/reppoints-moment_r50_fpn_1x_coco.py']


@pytest.mark.parametrize('name', CONFIGS)
def test_a_detector_trains_and_predicts(name):
    register_all_modules()
    torch.manual_seed(0)
    config = Config.fromfile(Path(mmdet.__file__).parent / '.mim' / 'configs' / name).model
    config.backbone.update(depth=18, init_cfg=None)
    config.neck.in_channels = [64, 128, 256, 512]
    config.test_cfg.get('rcnn', config.test_cfg).score_thr = 0.0
    model = MODELS.build(config)
    model.init_weights()
    image = torch.randint(256, (3, *SIZE), dtype=torch.uint8)

    data = model.data_preprocessor(dict(inputs=[image, image], data_samples=[sample(), sample()]), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)

    model.eval()
    with torch.no_grad():
        data = model.data_preprocessor(dict(inputs=[image], data_samples=[sample()]), training=False)
        prediction = model(**data, mode='predict')[0].pred_instances
    assert len(prediction) == 100

"""A trained detector and what it finds in an image that has been read, plainly or in views."""

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from mmcv.transforms import Compose
from mmdet.apis import inference_detector, init_detector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from swin_mmdet.checkpoint import CheckpointFile
from swin_mmdet.detectors.views import tta_model, views_of
from swin_mmdet.engine.load_weights import load_weights

Detect = Callable[[np.ndarray], DetDataSample]


def load_detector(cfg: Config, weights: CheckpointFile, device: str | None = None) -> nn.Module:
    """The detector of a config in evaluation mode, with exactly these weights and their classes.

    Args:
        device: such as 'cuda:0'; without it a GPU if there is one.

    Raises:
        CheckpointError: the weights do not fit.
    """
    cfg.model.backbone.init_cfg = None
    with warnings.catch_warnings(record=True) as caught:
        model = init_detector(cfg, None, palette='random', device=device or get_device())
    for one in caught:
        # the classes come with the weights, below; a filter would not do, for mmdet sets one of its own
        if 'checkpoint is None' not in str(one.message):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    load_weights(model, weights, strict=True)
    classes = weights.meta.get('classes')
    meta = {'classes': classes} if classes else cfg.test_dataloader.dataset.get('metainfo')
    if meta is not None:
        model.dataset_meta = dict(palette='random') | {key.lower(): value for key, value in meta.items()}
    return model


def detect_plainly(model: nn.Module) -> Detect:
    """A function from an image to what a detector, with its `cfg`, finds with its test pipeline."""
    pipeline = Compose([dict(type='mmdet.LoadImageFromNDArray'), *get_test_pipeline_cfg(model.cfg)[1:]])
    return partial(inference_detector, model, test_pipeline=pipeline)


def detect_in_views(model: nn.Module) -> Detect:
    """The same under test-time augmentation."""
    steps = model.cfg.get('tta_pipeline') or views_of(model.cfg.test_dataloader.dataset.pipeline)
    steps = Compose([dict(type='mmdet.LoadImageFromNDArray'), *steps[1:]])
    model = MODELS.build(dict(tta_model(model.cfg), module=model))

    def detect(image: np.ndarray) -> DetDataSample:
        views = steps(dict(img=image, img_id=0))
        return model.test_step({key: [[view] for view in every] for key, every in views.items()})[0]

    return detect

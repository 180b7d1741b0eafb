"""A trained detector and what it finds in images that have been read, plainly or in views."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.apis import init_detector
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import get_test_pipeline_cfg
from mmengine.config import Config
from mmengine.device import get_device
from torch import nn

from swin_mmdet.checkpoint import CheckpointFile
from swin_mmdet.detectors.views import tta_model, views_of
from swin_mmdet.engine.load_weights import load_weights

# of a batch of images as the pipeline reads them
Detect = Callable[[Sequence[np.ndarray]], list[DetDataSample]]


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
    """A function from images to what a detector, with its `cfg`, finds with its test pipeline.

    Images of several sizes are padded to one, as a dataloader of that batch would.
    """
    steps = _steps(get_test_pipeline_cfg(model.cfg))
    prompt = _prompt(model)

    def detect(images: Sequence[np.ndarray]) -> list[DetDataSample]:
        batch = [steps(dict(img=image, img_id=0, **prompt)) for image in images]
        with torch.no_grad():
            return model.test_step({key: [one[key] for one in batch] for key in batch[0]})

    return detect


def detect_in_views(model: nn.Module) -> Detect:
    """The same under test-time augmentation."""
    steps = _steps(model.cfg.get('tta_pipeline') or views_of(model.cfg.test_dataloader.dataset.pipeline))
    prompt = _prompt(model)
    model = MODELS.build(dict(tta_model(model.cfg), module=model))

    def detect(images: Sequence[np.ndarray]) -> list[DetDataSample]:
        batch = [steps(dict(img=image, img_id=0, **prompt)) for image in images]
        return model.test_step({key: [list(view) for view in zip(*(one[key] for one in batch))] for key in batch[0]})

    return detect


def _steps(pipeline: Sequence[dict]) -> Compose:
    return Compose([dict(type='mmdet.LoadImageFromNDArray'), *pipeline[1:]])


def _prompt(model: nn.Module) -> dict:
    """What the test's data set tells the detector with each image: the classes, if it reads them."""
    dataset = model.cfg.test_dataloader.dataset
    if not dataset.get('return_classes'):
        return {}
    return dict(
        text=model.dataset_meta['classes'], caption_prompt=dataset.get('caption_prompt'), custom_entities=True
    )

"""Training batches as a model gets them: after every augmentation, normalised and padded, and turned into pictures."""

import contextlib
import copy
import io
from dataclasses import dataclass

import numpy as np
import torch
from mmdet.registry import DATASETS, MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.runner import Runner

from swin_mmdet.config import nodes
from swin_mmdet.errors import UserError
from swin_mmdet.report.pictures import Drawn, class_colour, data_uri, draw, hatched, short
from swin_mmdet.visualization.instances import as_array

# of a batch that are drawn
MOST_IMAGES = 16


@dataclass(frozen=True)
class BatchImage:
    """One image of a batch.

    name: of its file, '' where it is made of several.
    size: height and width without padding.
    flip: the direction in which it was turned over, '' if it was not.
    """

    name: str
    size: tuple[int, int]
    flip: str
    objects: int
    picture: str


@dataclass(frozen=True)
class Batch:
    """shape: of the tensor, [B, C, H, W]; left_out: images that are not drawn."""

    shape: tuple[int, ...]
    images: list[BatchImage]
    left_out: int


def training_batches(cfg: Config, count: int, seed: int = 0) -> list[Batch]:
    """The first batches of the training of a config, drawn, with random numbers of this seed.

    Raises:
        UserError: the config has no training data, or they cannot be loaded.
    """
    if not cfg.get('train_dataloader'):
        raise UserError('the config has no train_dataloader, so there are no batches to show')
    register_all_modules(init_default_scope=True)
    loader = copy.deepcopy(cfg.train_dataloader)
    # in this process, where an error is told as it is
    loader.update(num_workers=0, persistent_workers=False)
    for name in ('prefetch_factor', 'timeout'):
        loader.pop(name, None)
    np.random.seed(seed)
    torch.manual_seed(seed)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # pycocotools says that it reads
            loader['dataset'] = DATASETS.build(loader['dataset'])
        batches = iter(Runner.build_dataloader(loader, seed=seed))
        settings = _preprocessor(cfg)
        preprocessor = MODELS.build(settings)
        is_rgb = bool(settings.get('bgr_to_rgb'))
        classes = loader['dataset'].metainfo.get('classes', ())
        found = []
        while len(found) < count:
            data = next(batches, None)
            if data is None:
                break
            with torch.no_grad():
                found.append(_batch(preprocessor(data, training=True), preprocessor, is_rgb, classes))
    except (OSError, ValueError, TypeError, AssertionError, RuntimeError, LookupError, AttributeError) as error:
        # of whatever step of the pipeline
        raise UserError(f'the training batches cannot be made ({type(error).__name__}: {error})') from error
    return found


def _preprocessor(cfg: Config) -> dict:
    """That of the model; of a model in a model the innermost, which sees the images."""
    found = [node['data_preprocessor'] for node in nodes(cfg.get('model') or {}) if node.get('data_preprocessor')]
    if not found:
        raise UserError('the model of the config has no data_preprocessor')
    return copy.deepcopy(found[-1])


def _batch(data: dict, preprocessor: torch.nn.Module, is_rgb: bool, classes: tuple[str, ...]) -> Batch:
    inputs, samples = data['inputs'], data['data_samples']
    if not torch.is_tensor(inputs):
        raise UserError('its model takes several views of an image, which this page does not show')
    pictures = denormalised(inputs, preprocessor, is_rgb)
    images = []
    for picture, sample in zip(pictures[:MOST_IMAGES], samples):
        height, width = (int(side) for side in sample.img_shape[:2])
        instances = sample.gt_instances
        boxes = getattr(instances.bboxes, 'tensor', instances.bboxes).cpu().numpy().astype(float)
        masks = as_array(instances.masks) if 'masks' in instances else [None] * len(boxes)
        things = []
        for box, mask, label in zip(boxes, masks, instances.labels.tolist()):
            name = classes[label] if label < len(classes) else f'class {label}'
            left, top, right, bottom = box
            things.append(Drawn((left, top, right - left, bottom - top), mask, short(str(name)), class_colour(label)))
        images.append(BatchImage(
            name=str(sample.get('img_path', '')).rpartition('/')[2],
            size=(height, width),
            flip=str(sample.get('flip_direction') or '') if sample.get('flip') else '',
            objects=len(boxes),
            picture=data_uri(draw(hatched(picture, height, width), things)),
        ))  # fmt: skip
    return Batch(tuple(inputs.shape), images, max(len(inputs) - MOST_IMAGES, 0))


def denormalised(inputs: torch.Tensor, preprocessor: torch.nn.Module, is_rgb: bool) -> np.ndarray:
    """Images [B, C, H, W] that `preprocessor` has normalised as uint8 [B, H, W, 3] in RGB.

    is_rgb: they are in RGB, else in BGR; of other numbers of channels the first three are shown, or the first alone.
    """
    values = inputs.float().cpu()
    if getattr(preprocessor, '_enable_normalize', False):
        values = values * preprocessor.std.float().cpu() + preprocessor.mean.float().cpu()
    values = values[:, :3] if values.shape[1] >= 3 else values[:, :1].repeat(1, 3, 1, 1)
    if not is_rgb:
        values = values.flip(1)
    return values.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()

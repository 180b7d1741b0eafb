"""The dataloaders of a config: images of a batch, workers, and the iterations that an epoch has."""

import copy
import io
import math
from contextlib import redirect_stdout

from mmengine.config import Config
from torch.utils.data import Dataset

from swin_mmdet.config import nodes, type_name
from swin_mmdet.config.changes import Changes
from swin_mmdet.errors import UserError

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def set_batch_size(cfg: Config, images: int) -> Changes:
    """Train on batches of so many images in each process, in place, also where a sampler has a number of its own.

    Raises:
        UserError: a sampler mixes several data sets in numbers of its own.
    """
    loader, changes = cfg.get('train_dataloader'), Changes()
    if not loader:
        raise UserError(f'--batch-size {images}: the config has no train_dataloader')
    changes.set(loader, 'batch_size', images, 'train_dataloader.batch_size')
    for name in ('sampler', 'batch_sampler'):
        own = loader.get(name)
        if not own or own.get('batch_size') is None:
            continue
        if not isinstance(own.batch_size, int):
            raise UserError(
                f'--batch-size {images}: {type_name(own)} of this config mixes data sets, {own.batch_size} a batch; '
                f'set train_dataloader.{name}.batch_size (--cfg-options)'
            )
        changes.set(own, 'batch_size', images, f'train_dataloader.{name}.batch_size')
    return changes


def set_workers(cfg: Config, workers: int) -> Changes:
    """Read images in so many processes for each dataloader, in place; with 0 in the training's own."""
    changes = Changes()
    loaders = {name.removesuffix('_dataloader'): cfg[name] for name in LOADERS if cfg.get(name)}
    for split, loader in loaders.items():
        changes.set(loader, 'num_workers', workers, f'num_workers of {split}')
        if not workers:
            # PyTorch refuses them without workers
            loader['persistent_workers'] = False
            loader.pop('prefetch_factor', None)
            loader.pop('timeout', None)
    return changes


def training_data(cfg: Config) -> Dataset:
    """The training data as its filters leave it, without a pipeline: for what annotations say.

    The annotations are read, which takes seconds for large data.

    Raises:
        UserError: no image is left.
    """
    from mmdet.registry import DATASETS
    from mmdet.utils import register_all_modules

    register_all_modules(init_default_scope=False)
    dataset = copy.deepcopy(cfg.train_dataloader.dataset)
    for node in nodes(dataset):
        if 'pipeline' in node:
            node['pipeline'] = []
    try:
        # pycocotools prints what it does
        with redirect_stdout(io.StringIO()):
            return DATASETS.build(dataset)
    except ValueError as error:
        if 'concatenate' not in str(error):
            raise
        # mmengine's, where it packs the list of no images
        raise UserError('no image of train_dataloader.dataset is left by its filters (filter_cfg)') from error


def epoch_length(cfg: Config, processes: int) -> int:
    """Iterations of an epoch of the training data: images that are left by its filters, over those of a step."""
    return steps_of_epoch(cfg, len(training_data(cfg)), processes)


def steps_of_epoch(cfg: Config, images: int, processes: int = 1) -> int:
    """The same of so many images."""
    mine, batch = math.ceil(images / processes), cfg.train_dataloader.batch_size
    drop_last = cfg.train_dataloader.get('drop_last') or (cfg.train_dataloader.get('batch_sampler') or {}).get(
        'drop_last'
    )
    return max(mine // batch if drop_last else math.ceil(mine / batch), 1)

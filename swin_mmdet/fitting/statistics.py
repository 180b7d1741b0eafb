"""The sizes of the images and objects that a config trains on, after its filters."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from mmengine.config import Config
from numpy.typing import NDArray
from torch.utils.data import Dataset

from swin_mmdet.datasets.loaders import training_data
from swin_mmdet.errors import UserError


@dataclass(frozen=True)
class Statistics:
    """Of the training images, in their order.

    Attributes:
        image_sizes: [images, 2], width and height in pixels.
        boxes: [boxes, 4], corners in pixels within the image, crowds left out.
        image_of: [boxes], the place of a box's image in `image_sizes`.
        images: of an epoch, in which those of data sets that repeat themselves count as often.
    """

    image_sizes: NDArray[np.float64]
    boxes: NDArray[np.float64]
    image_of: NDArray[np.int64]
    images: int

    @property
    def sides(self) -> NDArray[np.float64]:
        """[boxes], square roots of their areas in pixels."""
        return np.sqrt((self.boxes[:, 2:] - self.boxes[:, :2]).prod(axis=1))

    @property
    def objects(self) -> NDArray[np.int64]:
        """[images], their numbers of boxes."""
        return np.bincount(self.image_of, minlength=len(self.image_sizes))


def statistics(cfg: Config) -> Statistics:
    """Those of `train_dataloader`.

    Raises:
        UserError: no image is left by the filters, or none has an object.
    """
    whole = training_data(cfg)
    sizes, boxes, image_of = [], [], []
    for dataset in _plain(whole):
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            for instance in info.get('instances', ()):
                if not instance.get('ignore_flag'):
                    boxes.append(instance['bbox'])
                    image_of.append(len(sizes))
            sizes.append((info['width'], info['height']))
    if not boxes:
        raise UserError(
            f'no training image has an object: {len(sizes)} images are left by the filters (filter_cfg), and all of '
            'their annotations are crowds, or none is there; label some, and train again'
        )
    image_sizes, corners = np.array(sizes, float), np.array(boxes, float)
    limits = np.tile(image_sizes[image_of], 2)
    return Statistics(image_sizes, corners.clip(0, limits), np.array(image_of), len(whole))


def _plain(dataset: Dataset) -> Iterator[Dataset]:
    """The data sets inside of those that join, repeat or mix others."""
    if inner := getattr(dataset, 'datasets', None):
        for one in inner:
            yield from _plain(one)
    elif (inner := getattr(dataset, 'dataset', None)) is not None:
        yield from _plain(inner)
    else:
        yield dataset

"""Images that cannot be read while a run goes on: others are drawn in their place, or they count as without objects."""

import copy
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger

from swin_mmdet.datasets.decoder_lines import decoder_lines
from swin_mmdet.engine.console import FILE_ONLY

# in the metainfo of what stands for one in an evaluation
BROKEN = 'broken_image'


def leaves(dataset: object) -> Iterator[BaseDataset]:
    """The data sets that read images, inside of those that repeat, join or mix them."""
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if isinstance(dataset, BaseDataset):
        yield dataset
    else:
        for one in inner:
            if one is not None:
                yield from leaves(one)


class CarefulReading:
    """Takes the place of a data set's `prepare_data`, in the training's process and in its workers.

    In training nothing is given for an image that cannot be read, and the data set draws another. In an evaluation a
    black image stands for it, whose sample says so.

    Args:
        dataset: that reads.
        listed: a file that gets a line of path and reason for each broken image.
    """

    def __init__(self, dataset: BaseDataset, listed: str | Path) -> None:
        self.dataset, self.listed = dataset, str(listed)
        self._told: set[str] = set()

    def __call__(self, index: int) -> Any:
        try:
            with decoder_lines() as lines:
                sample = type(self.dataset).prepare_data(self.dataset, index)
            if lines:
                self._note(index, lines)
            return sample
        # every decoder and file backend has its own; a mistake of another step is raised again
        except Exception:
            image = self.dataset.get_data_info(index)
            reason = self._reason(image)
            if reason is None:
                raise
            self._tell(str(image.get('img_path')), reason)
            return self._black(image, reason) if self.dataset.test_mode else None

    def _note(self, index: int, lines: list[str]) -> None:
        """What a decoder said of an image that it read, once, in the file of the log: forks have it open."""
        path = str(self.dataset.get_data_info(index).get('img_path'))
        log = MMLogger.get_current_instance()
        if path not in self._told and any(isinstance(handler, logging.FileHandler) for handler in log.handlers):
            self._told.add(path)
            log.info(f'{path}: {"; ".join(dict.fromkeys(lines))}', extra=FILE_ONLY)

    def _reason(self, image: dict) -> str | None:
        """Why the step that reads an image cannot read this one; None if it can."""
        path = image.get('img_path')
        try:
            with decoder_lines():
                loaded = self._loader()(copy.copy(image))
            if loaded is not None:
                return None
        except (AttributeError, AssertionError, TypeError):
            # of None, which decoders give for what is no image
            error = 'no decoder knows what is in it'
        except Exception as other:
            error = f'{type(other).__name__}: {other}'
        else:
            error = 'nothing could be read'
        if isinstance(path, str) and os.path.isfile(path) and not os.path.getsize(path):
            return 'the file is empty'
        return 'the file is gone' if isinstance(path, str) and not os.path.exists(path) else ' '.join(error.split())

    def _loader(self) -> Any:
        steps = self.dataset.pipeline.transforms
        return next((step for step in steps if 'LoadImage' in type(step).__name__), steps[0])

    def _black(self, image: dict, reason: str) -> dict:
        loader, results = self._loader(), image
        for step in self.dataset.pipeline.transforms:
            if step is loader:
                shape = int(image['height']), int(image['width'])
                results = dict(results, img=np.zeros((*shape, 3), np.uint8), img_shape=shape, ori_shape=shape)
            else:
                results = step(results)
        samples = results['data_samples']
        # several views of test-time augmentation
        for sample in samples if isinstance(samples, list) else [samples]:
            sample.set_metainfo({BROKEN: reason})
        return results

    def _tell(self, path: str, reason: str) -> None:
        if path not in self._told:
            self._told.add(path)
            try:
                # one write of one line: those of several processes do not mix
                with open(self.listed, 'a', opener=_without_links) as file:
                    file.write(f'{path}\t{reason}\n')
            except OSError as error:
                print(f'{path} cannot be read ({reason}); nor {self.listed} be written ({error})', file=sys.stderr)


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, 'O_NOFOLLOW', 0), 0o666)


def read_list(path: str | Path) -> dict[str, str]:
    """Image -> reason."""
    path = Path(path)
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.partition('\t')[::2] for line in lines)


def without_detections(samples: list) -> list[str]:
    """Take the detections, in place, of those samples that stand for broken images; their paths."""
    broken = []
    for sample in samples:
        if getattr(sample, BROKEN, None) is None:
            continue
        broken.append(str(getattr(sample, 'img_path', '?')))
        if 'pred_instances' in sample:
            sample.pred_instances = sample.pred_instances[:0]
    return broken
